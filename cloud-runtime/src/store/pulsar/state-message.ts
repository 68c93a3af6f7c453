import { ByteReader, ByteWriter, MeshError } from "@fleetmesh/core";
import type { OutgoingMessage, ReceivedMessage } from "@fleetmesh/pulsar";

/** A value under a key; undefined takes the key away. */
export interface StateRecord {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** Which part of which write a message is. Sessions are numbered by opening, writes within their session. */
export interface StatePart {
  readonly session: number;
  readonly write: number;
  readonly index: number;
  readonly count: number;
}

/** A state is its region's own, whatever the namespace's policy says. */
const nowhereElse: readonly string[] = [];
const partGrammar = /^(\d{1,15})\.(\d{1,15})\.(\d{1,9})\/(\d{1,9})$/;

/** The records as messages of about so many bytes at most; a single record larger than that is a message of its own. */
export function encodeWrite(
  records: readonly StateRecord[],
  write: { readonly session: number; readonly write: number },
  bytesMax: number,
): OutgoingMessage[] {
  const payloads: Uint8Array[] = [];
  const out = new ByteWriter(4_096);
  for (const { key, value } of records) {
    const size = key.length * 3 + (value?.length ?? 0) + 16;
    if (out.length > 0 && out.length + size > bytesMax) payloads.push(out.take());
    out.text(key);
    out.varint(value === undefined ? 0 : value.length + 1);
    if (value) out.bytes(value);
  }
  payloads.push(out.take());
  return payloads.map((payload, index) => {
    const part = { ...write, index, count: payloads.length };
    const properties = { meshpart: partText(part) };
    return { payload, properties, key: messageKey(part), replicateTo: nowhereElse };
  });
}

export function decodeRecords(payload: Uint8Array): StateRecord[] {
  const records: StateRecord[] = [];
  const input = new ByteReader(payload);
  while (input.remaining > 0) {
    const key = input.text();
    const length = input.varint();
    // A copy: a view would keep the whole message alive.
    const value = length === 0 ? undefined : Uint8Array.from(input.bytes(length - 1));
    records.push({ key, value });
  }
  return records;
}

/** Undefined for what is no part of a write: probes, removals, other people's messages. */
export function partOf(message: ReceivedMessage): StatePart | undefined {
  const match = partGrammar.exec(message.properties["meshpart"] ?? "");
  const isOurs = message.payload.length > 0 && message.replicatedFrom === undefined;
  if (!match || !isOurs) return undefined;
  const [session, write, index, count] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
  ];
  if (index >= count) throw new MeshError("BLOCK_DAMAGED", "A part of the state beyond its write");
  return { session, write, index, count };
}

/** Removes a message once the broker compacts the topic. */
export function removal(key: string): OutgoingMessage {
  return { payload: new Uint8Array(0), properties: {}, key, replicateTo: nowhereElse };
}

function partText({ session, write, index, count }: StatePart): string {
  return `${session}.${write}.${index}/${count}`;
}

export function messageKey({ session, write, index }: StatePart): string {
  return `w/${session}/${write}/${index}`;
}
