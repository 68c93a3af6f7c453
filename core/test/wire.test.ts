import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  agentMadeId,
  decodeWire,
  encodeWire,
  seededChance,
  type BlockEntry,
  type Effort,
  type Segment,
  type WireHello,
  type WireMessage,
} from "../src/index.ts";
import { arbitraryEntry } from "./arbitrary-event.ts";
import { batchOf, batchWith, epoch, jsonBatch, limits } from "./wire-batch.ts";

function roundTrip(message: WireMessage, effort: Effort = "small"): WireMessage {
  return decodeWire(encodeWire(message, { effort }), limits);
}

function bytesEach(message: WireMessage, count: number): number {
  return encodeWire(message).length / count;
}

function renumbered(entries: readonly BlockEntry[], first: number): BlockEntry[] {
  return entries.map((entry, index) => {
    const { data } = entry.event;
    const event = { ...entry.event, data: data === undefined ? undefined : Buffer.from(data) };
    return { ...entry, sequence: first + index, event };
  });
}

const json = fc.json({ noUnicodeString: false }).map((text) => Buffer.from(text));
const nastyNumber = fc.constantFrom(
  "-0",
  "1e5",
  "1.0",
  "0.10",
  "1E+2",
  "123456789012345678",
  "-7",
  "0",
);
const nastyText = fc.constantFrom('"007"', '"\\u00e9"', '"a\\"b"', '"\\\\"', "null", "true", '" "');
const member = fc.tuple(fc.constantFrom("a", "b"), fc.oneof(nastyNumber, nastyText));
const nastyJson = fc
  .array(member, { maxLength: 4 })
  .chain((members) =>
    fc
      .constantFrom("", " ", "\n\t")
      .map(
        (space) =>
          `{${members.map(([key, value]) => `${space}"${key}"${space}:${value}`).join(",")}}`,
      ),
  );

describe("the batch wire format", () => {
  it("gives back any events exactly, with either effort", () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryEntry, { maxLength: 12 }),
        fc.constantFrom<Effort>("small", "fast"),
        fc.nat(2 ** 40),
        (entries, effort, start) => {
          const first = start + 1;
          const numbered = renumbered(entries, first);
          const segments: Segment[] = [{ kind: "events", first, entries: numbered }];
          const batch = batchWith(segments, first, first + entries.length - 1);
          expect(roundTrip(batch, effort)).toEqual(batch);
        },
      ),
    );
  });

  it("gives back any JSON byte for byte", () => {
    fc.assert(
      fc.property(fc.array(json, { minLength: 1, maxLength: 8 }), (texts) => {
        const batch = batchOf(texts.map((data) => ({ data })));
        expect(roundTrip(batch)).toEqual(batch);
      }),
    );
  });

  it("gives back nasty spellings byte for byte: -0, exponents, zeros, escapes, duplicate keys, white space", () => {
    fc.assert(
      fc.property(fc.array(nastyJson, { minLength: 1, maxLength: 12 }), (texts) => {
        expect(roundTrip(jsonBatch(texts))).toEqual(jsonBatch(texts));
      }),
    );
  });

  it("gives back what is marked as JSON and is none", () => {
    const texts = ['{"a":', '"open', "\0", '{"a":"\\', "{1:2}", "", "\x80\xff"];
    const numbers = ["1.", ".5", "-", "-.5", "1.2.3", "01", "-00.1", "1234567890.123456", "1a.2"];
    for (const text of [...texts, ...numbers]) {
      const batch = batchOf([{ data: Buffer.from(text, "latin1") }, { data: Buffer.from("1") }]);
      expect(roundTrip(batch)).toEqual(batch);
    }
  });

  it("gives back columns of numbers of every kind of course", () => {
    const number = fc.oneof(
      fc.integer(),
      fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
    );
    fc.assert(
      fc.property(fc.array(number, { minLength: 1, maxLength: 60 }), (values) => {
        const texts = values.map((value) => JSON.stringify({ value }));
        expect(roundTrip(jsonBatch(texts))).toEqual(jsonBatch(texts));
      }),
    );
  });

  it("does not send ids that the agent made, among others that it did not make", () => {
    const made = batchOf(
      Array.from({ length: 50 }, (_, index) => ({ id: agentMadeId(epoch, "normal", index + 1) })),
    );
    expect(roundTrip(made)).toEqual(made);
    expect(Buffer.from(encodeWire(made)).includes(epoch.slice(0, 12))).toBe(false);
    expect(bytesEach(made, 50)).toBeLessThan(2);
    const mixed = batchOf([{ id: "x" }, { id: agentMadeId(epoch, "normal", 2) }, { id: "y" }]);
    expect(roundTrip(mixed)).toEqual(mixed);
  });

  it("sends random UUIDs as at most 16 bytes and keeps their case", () => {
    const chance = seededChance(7);
    const uuids = Array.from({ length: 100 }, () => chance.uuid());
    for (const ids of [uuids, uuids.map((id) => id.toUpperCase())]) {
      const batch = batchOf(ids.map((id) => ({ id })));
      expect(roundTrip(batch)).toEqual(batch);
      expect(bytesEach(batch, 100)).toBeLessThan(17);
    }
    const mixed = batchOf(uuids.map((id, index) => ({ id: index % 2 ? id : id.toUpperCase() })));
    expect(roundTrip(mixed)).toEqual(mixed);
  });

  it("sends ids that count almost for nothing, with and without zeros in front", () => {
    for (const idOf of [
      (at: number) => `car-${at}-x`,
      (at: number) => `car-${String(at).padStart(8, "0")}`,
    ]) {
      const batch = batchOf(Array.from({ length: 100 }, (_, at) => ({ id: idOf(95 + at) })));
      expect(roundTrip(batch)).toEqual(batch);
      expect(bytesEach(batch, 100)).toBeLessThan(1.5);
    }
  });

  it("sends times as numbers and gives back every spelling, odd ones too", () => {
    const spellings = [
      (ms: number) => new Date(ms).toISOString(),
      (ms: number) => new Date(ms).toISOString().replace("Z", "+08:00"),
      (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z/, "Z"),
      (ms: number) => new Date(ms).toISOString().replace("Z", "123456Z"),
      (ms: number) => new Date(ms).toISOString().toLowerCase(),
      (ms: number) => new Date(ms).toISOString().replace(/:\d\d\./, ":60."),
      (ms: number) =>
        new Date(ms)
          .toISOString()
          .replace(/-\d\dT/, "-31T")
          .replace(/-\d\d-/, "-02-"),
    ];
    for (const spell of spellings) {
      const start = Date.UTC(2026, 11, 31, 23, 59, 30);
      const batch = batchOf(
        Array.from({ length: 60 }, (_, at) => ({ time: spell(start + at * 1013) })),
      );
      expect(roundTrip(batch)).toEqual(batch);
    }
  });

  it("makes repeated attributes cost almost nothing", () => {
    const part = { subject: "s".repeat(60), datacontenttype: "application/json", time: undefined };
    const batch = batchOf(Array.from({ length: 200 }, (_, at) => ({ ...part, id: `${at}` })));
    expect(bytesEach(batch, 200)).toBeLessThan(1.5);
  });

  it("carries gaps with reasons and counts per topic between events", () => {
    const [run] = batchOf([{ id: "a" }, { id: "b" }], 10).segments;
    const [tail] = batchOf([{ id: "c" }], 17).segments;
    if (run === undefined || tail === undefined) throw new Error("a batch has no segment");
    const topics = { "vehicle.telemetry": 3, "vehicle.trip": 1 };
    const batch = batchWith(
      [
        { kind: "gap", first: 8, last: 9, reason: "expired", topics: {} },
        run,
        { kind: "gap", first: 12, last: 15, reason: "evicted", topics },
        { kind: "gap", first: 16, last: 16, reason: "damaged", topics: {} },
        tail,
      ],
      8,
      17,
    );
    expect(roundTrip(batch)).toEqual(batch);
  });

  it("carries a hello", () => {
    const classes = { critical: { oldest: 1, next: 1 }, bulk: { oldest: 2 ** 50, next: 2 ** 52 } };
    const hello: WireHello = {
      kind: "hello",
      agentId: "ä-1",
      epoch,
      classes,
      sentMs: 1.5e12 + 0.25,
    };
    expect(roundTrip(hello)).toEqual(hello);
  });

  it("compresses a large event, and sends one that does not give in as it is", () => {
    const picture = randomBytes(1_000_000);
    const text = Buffer.from("speed 12.5; ".repeat(80_000));
    for (const [data, bytesMax] of [
      [picture, 1_000_200],
      [text, 10_000],
    ] as const) {
      const batch = batchOf([{ data, dataKind: "binary" }]);
      expect(encodeWire(batch).length).toBeLessThan(bytesMax);
      const back = roundTrip(batch);
      const segment = back.kind === "batch" ? back.segments[0] : undefined;
      const got = segment?.kind === "events" ? segment.entries[0]?.event.data : undefined;
      expect(got !== undefined && data.equals(got)).toBe(true);
    }
  });

  it("refuses to encode what contradicts itself", () => {
    const batch = batchOf([{ id: "a" }, { id: "b" }]);
    for (const wrong of [
      { ...batch, last: 5 },
      { ...batch, first: 2 },
      { ...batch, epoch: "none" },
    ])
      expect(() => encodeWire(wrong)).toThrow(expect.objectContaining({ kind: "WIRE_INVALID" }));
  });
});
