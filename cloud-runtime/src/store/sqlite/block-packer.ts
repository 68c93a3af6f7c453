import { BlockWriter, classRank, encodeBlock, type BlockEntry } from "@fleetmesh/core";
import type { AgentAppend, DirectAppend, ReplicatedAppend } from "../event-store.ts";
import { spansOf } from "../shared/agent-progress.ts";
import { tailOf } from "../shared/agent-tail.ts";
import { directIdentity, directIdentityBytes, idHash } from "../shared/event-identity.ts";
import type { AgentOp, DirectOp, PackedBlock, PackedReject, ReplicatedOp } from "./store-op.ts";

/** Finished writers keep their memory, so that a batch does not grow a buffer from nothing each time. */
const writers: BlockWriter[] = [];
const writersKeptMax = 4;

/** The events of one topic of an append: as given, for the tail's readers, and encoded for the disk. */
export interface PackedTopic {
  readonly topic: string;
  readonly entries: readonly BlockEntry[];
}

export interface Packed<Op> {
  readonly op: Op;
  readonly topics: readonly PackedTopic[];
  readonly bytes: number;
}

export function packAgent(append: AgentAppend): Packed<AgentOp> {
  const spans = spansOf(append);
  const { agentId, epoch, eventClass } = append;
  const byTopic = new Map<string, BlockEntry[]>();
  const rejects: PackedReject[] = [];
  for (const run of append.runs) {
    if (run.kind === "events") sortByTopic(run.entries, byTopic);
    else if (run.kind === "rejected") {
      const { entry, code, reason } = run;
      rejects.push({ sequence: entry.sequence, code, reason, bytes: encodeBlock([entry]) });
    }
  }
  const topics: PackedTopic[] = [];
  const blocks: PackedBlock[] = [];
  let bytes = 512;
  for (const [topic, entries] of byTopic) {
    const block = packBlock(topic, entries);
    topics.push({ topic, entries });
    blocks.push(block);
    bytes += block.bytes.length;
  }
  for (const reject of rejects) bytes += reject.bytes.length;
  const [rank, prints] = [classRank(eventClass), tailOf(append)];
  const op: AgentOp = { kind: "agent", agentId, epoch, rank, spans, blocks, rejects, prints };
  return { op, topics, bytes };
}

export function packDirect({ topic, receivedMs, events }: DirectAppend): Packed<DirectOp> {
  const identities = new Uint8Array(events.length * directIdentityBytes);
  const entries: BlockEntry[] = [];
  for (const [index, event] of events.entries()) {
    identities.set(directIdentity(topic, event), index * directIdentityBytes);
    entries.push({ topic, sequence: 0, receivedMs, event });
  }
  const block = packBlock(topic, entries);
  const bytes = 512 + block.bytes.length + identities.length;
  return { op: { kind: "direct", block, identities }, topics: [{ topic, entries }], bytes };
}

export function packReplicated(append: ReplicatedAppend): Packed<ReplicatedOp> {
  const { topic, originRegion } = append;
  const entries = append.entries.map(({ entry }) =>
    entry.topic === topic ? entry : { ...entry, topic },
  );
  const block = entries.length === 0 ? undefined : packBlock(topic, entries);
  const origins: string[] = [];
  const indexes: number[] = [];
  for (const { origin } of append.entries) {
    const text = JSON.stringify({ ...origin, position: undefined });
    const known = origins.indexOf(text);
    indexes.push(known === -1 ? origins.push(text) - 1 : known);
  }
  const positions = append.entries.map(({ position }) => position);
  const meta = JSON.stringify({
    origins: origins.map((text): unknown => JSON.parse(text)),
    indexes,
    positions,
  });
  const op: ReplicatedOp = {
    ...{ kind: "replicated", topic, originRegion, count: entries.length, block, meta },
    before: append.cursorBefore,
    after: append.cursorAfter,
  };
  return {
    op,
    topics: [{ topic, entries }],
    bytes: 512 + meta.length + (block?.bytes.length ?? 0),
  };
}

function sortByTopic(entries: readonly BlockEntry[], byTopic: Map<string, BlockEntry[]>): void {
  for (const entry of entries) {
    const known = byTopic.get(entry.topic);
    if (known) known.push(entry);
    else byTopic.set(entry.topic, [entry]);
  }
}

function packBlock(topic: string, entries: readonly BlockEntry[]): PackedBlock {
  const writer = writers.pop() ?? new BlockWriter();
  const hashes = new Uint32Array(entries.length);
  for (const [index, entry] of entries.entries()) {
    writer.add(entry);
    hashes[index] = idHash(entry.event.id);
  }
  const bytes = writer.finish();
  if (writers.length < writersKeptMax) writers.push(writer);
  return { topic, count: entries.length, bytes, hashes };
}
