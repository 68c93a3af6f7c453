import { describe, expect, it } from "vitest";
import {
  decodeAck,
  encodeAck,
  eventPrint,
  foreignSequence,
  gapPrint,
  type AgentAck,
  type Segment,
} from "../src/index.ts";
import { batchOf } from "./wire-batch.ts";

const ofClass = batchOf(
  ["a", "b", "c", "d"].map((text) => ({ data: Buffer.from(text) })),
  5,
);
const [segment] = ofClass.segments;
const entries = segment?.kind === "events" ? segment.entries : [];
const prints = entries.map(eventPrint);
const here: Segment[] = [{ kind: "events", first: 5, entries }];

describe("prints of the last events", () => {
  it("are the ones that docs/wire.md describes", () => {
    const [first] = entries;
    if (first === undefined) throw new Error("There is no event");
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(first.receivedMs);
    const units = [...bytes, ...Buffer.from("urn:vehicle:a"), ...Buffer.from("1"), 97];
    let hash = 0x811c9dc5n;
    for (const unit of units) hash = ((hash ^ BigInt(unit)) * 0x01000193n) & 0xffff_ffffn;
    expect(eventPrint(first)).toBe(Number(hash));
  });

  it("tell other events from these, and nothing else", () => {
    const watermark = 8;
    expect(foreignSequence({ prints, watermark }, here)).toBeUndefined();
    expect(foreignSequence({ prints: prints.slice(2), watermark }, here)).toBeUndefined();
    expect(foreignSequence({ prints, watermark: 9 }, here)).toBe(6);
    expect(foreignSequence({ prints: [gapPrint], watermark }, here)).toBe(8);
    expect(foreignSequence({ prints: [null], watermark }, here)).toBeUndefined();
    expect(foreignSequence({ prints, watermark: 20 }, here)).toBeUndefined();
    const gap: Segment = { kind: "gap", first: 5, last: 8, reason: "evicted", topics: {} };
    expect(foreignSequence({ prints: [1, 2, 3, 4], watermark }, [gap])).toBeUndefined();
  });

  it("come through an acknowledgement, and are refused when they are none", () => {
    const ack: AgentAck = {
      epoch: "0123456789abcdef",
      watermarks: {},
      prints: { normal: [0xffff_ffff, gapPrint, null] },
      rejected: [],
      rewind: [],
      creditBytes: 1,
      cloudMs: 1,
    };
    expect(decodeAck(encodeAck(ack)).prints).toEqual(ack.prints);
    for (const wrong of [[-2], [2 ** 32], [0.5], [1, 2, 3, 4, 5, 6, 7, 8, 9]])
      expect(() => decodeAck(encodeAck({ ...ack, prints: { bulk: wrong } }))).toThrow();
  });
});
