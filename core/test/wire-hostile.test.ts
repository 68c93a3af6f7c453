import { crc32, deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteWriter, decodeWire, encodeWire, MeshError, seededChance } from "../src/index.ts";
import { arbitraryEntry } from "./arbitrary-event.ts";
import { batchOf, batchWith, jsonBatch, limits } from "./wire-batch.ts";

const invalid: unknown = expect.objectContaining({ kind: "WIRE_INVALID" });
const tooLarge: unknown = expect.objectContaining({ kind: "WIRE_TOO_LARGE" });

function sample(): Uint8Array {
  return encodeWire(
    jsonBatch(Array.from({ length: 30 }, (_, at) => `{"speed":${at},"s":"${at % 3}"}`)),
  );
}

/** A changed message with a right checksum: what a hostile sender would send. */
function resealed(bytes: Uint8Array): Uint8Array {
  const sealed = Buffer.from(bytes);
  sealed.writeUInt32LE(crc32(sealed.subarray(0, -4)), sealed.length - 4);
  return sealed;
}

function decodesOrRefuses(bytes: Uint8Array): void {
  try {
    decodeWire(bytes, limits);
  } catch (error) {
    if (!MeshError.is(error, "WIRE_INVALID") && !MeshError.is(error, "WIRE_TOO_LARGE")) throw error;
  }
}

describe("the decoder of the wire format, given hostile bytes", () => {
  it("refuses every shortened message and every flipped bit", () => {
    const bytes = sample();
    for (let length = 0; length < bytes.length; length += 1)
      expect(() => decodeWire(bytes.subarray(0, length), limits)).toThrow(invalid);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => decodeWire(changed, limits)).toThrow(invalid);
    }
  });

  it("names a version that it does not know", () => {
    const bytes = sample();
    bytes[0] = 9;
    expect(() => decodeWire(resealed(bytes), limits)).toThrow(/version is 9/);
  });

  it("survives changed bytes behind a right checksum", () => {
    const chance = seededChance(11);
    const pick = (below: number): number => Math.floor(chance.float() * below);
    const entries = fc.sample(arbitraryEntry, { numRuns: 12, seed: 5 });
    const numbered = entries.map((entry, index) => ({ ...entry, sequence: 1 + index }));
    const mixed = batchWith([{ kind: "events", first: 1, entries: numbered }], 1, entries.length);
    const starts = [sample(), encodeWire(mixed)];
    for (let run = 0; run < 3000; run += 1) {
      const bytes = Uint8Array.from(starts[run % starts.length] ?? []);
      for (let changes = 1 + pick(4); changes > 0; changes -= 1)
        bytes[pick(bytes.length)] = pick(256);
      decodesOrRefuses(resealed(bytes));
    }
  });

  it("survives any bytes at all behind a right head and checksum", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 200 }), (bytes) => {
        bytes[0] = 1;
        bytes[1] = (bytes[1] ?? 0) & 0x11;
        decodesOrRefuses(resealed(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  it("refuses a decompression bomb without unfolding it", () => {
    const bomb = deflateRawSync(Buffer.alloc(50_000_000, 97));
    for (const claimed of [50_000_000, 1000]) {
      const out = new ByteWriter();
      out.u8(1);
      out.u8(0x11);
      out.varint(0);
      out.varint(claimed);
      out.bytes(bomb);
      out.u32(0);
      const expected = claimed > limits.decodedBytesMax ? tooLarge : invalid;
      expect(() => decodeWire(resealed(out.take()), limits)).toThrow(expected);
    }
  });

  it("refuses more events, and events that unfold to more, than it is told to take", () => {
    const text = JSON.stringify({ pad: "x".repeat(10_000) });
    const bytes = encodeWire(jsonBatch(Array.from({ length: 100 }, () => text)));
    expect(bytes.length).toBeLessThan(1000);
    const small = { decodedBytesMax: 500_000, eventCountMax: 100 };
    expect(() => decodeWire(bytes, small)).toThrow(tooLarge);
    expect(() => decodeWire(bytes, { ...limits, eventCountMax: 99 })).toThrow(tooLarge);
    const named = encodeWire(
      batchOf(Array.from({ length: 100 }, () => ({ type: "t".repeat(9000) }))),
    );
    expect(() => decodeWire(named, small)).toThrow(tooLarge);
  });

  it("does not mistake a topic called __proto__ for the prototype", () => {
    const topics = Object.fromEntries([["__proto__", 3]]);
    const gap = { kind: "gap", first: 1, last: 3, reason: "evicted", topics } as const;
    const decoded = decodeWire(encodeWire(batchWith([gap], 1, 3)), limits);
    if (decoded.kind !== "batch" || decoded.segments[0]?.kind !== "gap") throw new Error("no gap");
    expect(Object.entries(decoded.segments[0].topics)).toEqual([["__proto__", 3]]);
  });
});
