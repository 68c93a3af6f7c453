import { ByteReader, ByteWriter, MeshError } from "@fleetmesh/core";
import type { DeliveryRecord } from "../delivery-store.ts";
import { PositionReader, PositionWriter } from "./position-codec.ts";

const outcomes = ["delivered", "dead-lettered", "expired", "filtered"] as const;

/** Some delivery records as one value, each some fifteen bytes; the names of subscriptions and topics once. */
export function encodeRecords(records: readonly DeliveryRecord[]): Uint8Array {
  const out = new ByteWriter(64 + 16 * records.length);
  const owners = new Map<string, number>();
  for (const { subscription, topic } of records) {
    const name = `${subscription}\n${topic}`;
    if (!owners.has(name)) owners.set(name, owners.size);
  }
  out.varint(owners.size);
  for (const name of owners.keys()) out.text(name);
  out.varint(records.length);
  const positions = new PositionWriter(out);
  let lastMs = 0;
  for (const record of records) {
    out.varint(owners.get(`${record.subscription}\n${record.topic}`) ?? 0);
    out.u8(outcomes.indexOf(record.outcome));
    positions.write(record.position);
    out.varint(record.attempts);
    const atMs = Math.max(0, Math.round(record.atMs));
    out.varint(zigzag(atMs - lastMs));
    lastMs = atMs;
    out.varint(Math.max(0, Math.round(record.durationMs)));
  }
  return out.take();
}

export function decodeRecords(value: Uint8Array): DeliveryRecord[] {
  const input = new ByteReader(value);
  const owners: [string, string][] = [];
  for (let left = input.varint(); left > 0; left -= 1) {
    const [subscription = "", topic = ""] = input.text().split("\n");
    owners.push([subscription, topic]);
  }
  const records: DeliveryRecord[] = [];
  const count = input.varint();
  const positions = new PositionReader(input);
  let atMs = 0;
  while (records.length < count) {
    const owner = owners[input.varint()];
    const outcome = outcomes[input.u8()];
    if (!owner || !outcome) throw new MeshError("BLOCK_DAMAGED", "A delivery record is damaged");
    const [subscription, topic] = owner;
    const [position, attempts] = [positions.read(), input.varint()];
    atMs += unzigzag(input.varint());
    const durationMs = input.varint();
    records.push({ subscription, topic, position, outcome, attempts, atMs, durationMs });
  }
  return records;
}

/** Wall clocks go back, too. */
const zigzag = (step: number): number => (step >= 0 ? step * 2 : -step * 2 - 1);
const unzigzag = (coded: number): number => (coded % 2 === 0 ? coded / 2 : -(coded + 1) / 2);
