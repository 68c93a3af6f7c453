import { crc32 } from "node:zlib";
import {
  BlockReader,
  BlockWriter,
  ByteReader,
  ByteWriter,
  classOfRank,
  classRank,
  MeshError,
} from "@fleetmesh/core";
import type { Origin, Position, StoredEvent } from "../store/event-store.ts";
import type { ReplicatedAppend } from "../store/event-store.ts";

/**
 * Events on their way to another region. The link between passes these bytes on as they are. Little endian:
 *
 *   u8 version=1 | u32 crc of all that follows | text region | text topic | text next | varint count
 *   | count × (text position | u8 class rank + 1, or 0 | when there is a class: text agentId, text epoch) | block of the entries
 */
export interface ReplicatedPage {
  /** Where the events entered the mesh: the region that this page was read in. */
  readonly region: string;
  readonly topic: string;
  /** The cursor once all of it is stored. */
  readonly next: Position;
  readonly entries: ReplicatedAppend["entries"];
}

const version = 1;
const headBytes = 5;

export interface PageHead {
  readonly region: string;
  readonly topic: string;
  readonly next: Position;
}

export function encodeReplicatedPage(head: PageHead, events: readonly StoredEvent[]): Uint8Array {
  const out = new ByteWriter(4_096);
  out.u8(version);
  out.u32(0);
  out.text(head.region);
  out.text(head.topic);
  out.text(head.next);
  out.varint(events.length);
  const block = new BlockWriter();
  for (const { position, origin, entry } of events) {
    out.text(position);
    writeOrigin(out, origin);
    block.add(entry);
  }
  out.bytes(block.finish());
  out.patchU32(1, crc32(out.view().subarray(headBytes)));
  return out.take();
}

/** Throws WIRE_INVALID when the bytes are not a page, whatever they are. */
export function decodeReplicatedPage(bytes: Uint8Array): ReplicatedPage {
  try {
    return readPage(bytes);
  } catch (cause) {
    throw new MeshError("WIRE_INVALID", "The page of replicated events cannot be read", { cause });
  }
}

function readPage(bytes: Uint8Array): ReplicatedPage {
  const input = new ByteReader(bytes);
  if (input.u8() !== version) throw new Error("unknown version");
  if (input.u32() !== crc32(bytes.subarray(headBytes))) throw new Error("checksum");
  const head = { region: input.text(), topic: input.text(), next: input.text() };
  const count = input.varint();
  // Each place takes two bytes at least: a made-up count cannot make us allocate.
  if (count > input.remaining / 2) throw new Error("count");
  const places: { position: Position; origin: Origin }[] = [];
  for (let at = 0; at < count; at += 1) {
    const position = input.text();
    places.push({ position, origin: readOrigin(input, head.region) });
  }
  const block = new BlockReader(input.bytes(input.remaining));
  if (block.count !== count) throw new Error("count of entries");
  const entries = places.map((place, at) => ({ ...place, entry: block.entry(at) }));
  return { ...head, entries };
}

function writeOrigin(out: ByteWriter, { agentId, epoch, eventClass }: Origin): void {
  if (agentId === undefined || epoch === undefined || eventClass === undefined) {
    out.u8(0);
    return;
  }
  out.u8(classRank(eventClass) + 1);
  out.text(agentId);
  out.text(epoch);
}

function readOrigin(input: ByteReader, region: string): Origin {
  const rank = input.u8();
  if (rank === 0) return { region };
  const eventClass = classOfRank(rank - 1);
  if (eventClass === undefined) throw new Error("class");
  return { region, agentId: input.text(), epoch: input.text(), eventClass };
}
