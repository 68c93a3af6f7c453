import { ByteReader, ByteWriter, MeshError } from "@fleetmesh/core";
import type { DeliveryRecord } from "../delivery-store.ts";
import type { RecordRow } from "./store-op.ts";

const ordinalGrammar = /^(?:0|[1-9][0-9]{0,14})$/;
const outcomes = ["delivered", "dead-lettered", "expired", "filtered"] as const;

/** Positions in reading order: as steps when they are this store's ordinals, else as texts. Thousands cost a few KiB. */
export function encodeAhead(ahead: readonly string[]): Uint8Array {
  const out = new ByteWriter(16 + 2 * ahead.length);
  const areOrdinals = ahead.every((position) => ordinalGrammar.test(position));
  out.u8(areOrdinals ? 1 : 2);
  out.varint(ahead.length);
  let last = 0;
  for (const position of ahead) {
    if (!areOrdinals) out.text(position);
    else last = writeStep(out, last, Number(position));
  }
  return out.take();
}

export function decodeAhead(bytes: Uint8Array): string[] {
  const input = new ByteReader(bytes);
  const areOrdinals = input.u8() === 1;
  const ahead: string[] = [];
  let last = 0;
  for (let left = input.varint(); left > 0; left -= 1) {
    if (areOrdinals) last = readStep(input, last);
    ahead.push(areOrdinals ? String(last) : input.text());
  }
  return ahead;
}

/** A commit's records, one row per subscription and topic. */
export function encodeRecords(records: readonly DeliveryRecord[]): RecordRow[] {
  const groups = new Map<string, DeliveryRecord[]>();
  for (const record of records) {
    const key = `${record.subscription}\n${record.topic}`;
    const group = groups.get(key);
    if (group) group.push(record);
    else groups.set(key, [record]);
  }
  return [...groups.values()].map(encodeGroup);
}

function encodeGroup(records: readonly DeliveryRecord[]): RecordRow {
  const { subscription, topic, atMs: firstMs } = records[0] as DeliveryRecord;
  const out = new ByteWriter(32 + 12 * records.length);
  let [low, high, last] = [Number.MAX_SAFE_INTEGER, 0, 0];
  out.varint(records.length);
  out.f64(firstMs);
  for (const record of records) {
    const isOrdinal = ordinalGrammar.test(record.position);
    out.u8(outcomes.indexOf(record.outcome) * 2 + (isOrdinal ? 1 : 0));
    if (isOrdinal) last = writeStep(out, last, Number(record.position));
    else out.text(record.position);
    low = Math.min(low, isOrdinal ? last : 0);
    high = Math.max(high, isOrdinal ? last : Number.MAX_SAFE_INTEGER);
    out.varint(record.attempts);
    writeStep(out, firstMs, record.atMs);
    out.varint(Math.max(0, Math.round(record.durationMs)));
  }
  return {
    subscription,
    topic,
    low,
    high,
    count: records.length,
    atMs: Math.floor(firstMs),
    body: out.take(),
  };
}

/** The records of one position in a row. */
export function decodeRecords(
  row: { readonly subscription: string; readonly body: Uint8Array },
  topic: string,
  wanted: string,
): DeliveryRecord[] {
  const input = new ByteReader(row.body);
  const found: DeliveryRecord[] = [];
  let last = 0;
  const count = input.varint();
  const firstMs = input.f64();
  for (let left = count; left > 0; left -= 1) {
    const kind = input.u8();
    const isOrdinal = kind % 2 === 1;
    if (isOrdinal) last = readStep(input, last);
    const position = isOrdinal ? String(last) : input.text();
    const outcome = outcomes[kind >> 1];
    if (outcome === undefined) throw new MeshError("BLOCK_DAMAGED", "A delivery record is damaged");
    const attempts = input.varint();
    const atMs = readStep(input, firstMs);
    const durationMs = input.varint();
    if (position === wanted)
      found.push({
        subscription: row.subscription,
        topic,
        position,
        outcome,
        attempts,
        atMs,
        durationMs,
      });
  }
  return found;
}

/** The range in which a position is looked for. */
export function recordOrdinal(position: string): number {
  return ordinalGrammar.test(position) ? Number(position) : Number.MAX_SAFE_INTEGER;
}

/** A difference of either sign: retries settle out of order, and wall clocks go back. */
function writeStep(out: ByteWriter, from: number, to: number): number {
  const step = Math.round(to - from);
  out.varint(step >= 0 ? step * 2 : -step * 2 - 1);
  return from + step;
}

function readStep(input: ByteReader, from: number): number {
  const coded = input.varint();
  return coded % 2 === 0 ? from + coded / 2 : from - (coded + 1) / 2;
}
