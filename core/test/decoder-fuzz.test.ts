import { describe, expect, it } from "vitest";
import { MeshError } from "../src/error/mesh-error.ts";
import { BlockReader, encodeBlock } from "../src/event/block.ts";
import { decodeHttp } from "../src/event/http-binding.ts";
import {
  decodeBatch,
  decodeStructured,
  encodeBatch,
  encodeStructured,
} from "../src/event/json-format.ts";
import { seededChance, type Chance } from "../src/port/chance.ts";
import { decodeAck, encodeAck } from "../src/wire/ack.ts";
import { emptyWatermark } from "../src/wire/watermark.ts";
import { bytesOf, eventOf, limits } from "./event-sample.ts";

const seed = Number(process.env["FUZZ_SEED"] ?? 20_261_123);
const roundCount = 4_000;

const event = eventOf({
  subject: "s \\u20ac é",
  time: "2026-11-23T06:12:28.123+08:00",
  datacontenttype: "application/json",
  extensions: [
    ["partitionkey", "k"],
    ["count", 5],
    ["flag", true],
  ],
  data: bytesOf('{"a":[1.0,-2e3,null,true,"\\u00e9\\n"],"b":{"c":{}}}'),
  dataKind: "json",
});
const binary = eventOf({ data: Buffer.from([0, 1, 2, 255]), dataKind: "binary" });
const text = eventOf({ data: bytesOf("<x/>"), dataKind: "text", datacontenttype: "text/xml" });
const batch = encodeBatch([event, binary, text]);
const single = encodeStructured(event);
const block = encodeBlock(
  [event, binary, text].map((one, at) => ({
    topic: "a.b",
    sequence: at,
    receivedMs: at,
    event: one,
  })),
);
const ack = encodeAck({
  epoch: "0123456789abcdef",
  watermarks: { normal: emptyWatermark },
  rejected: [{ eventClass: "bulk", sequence: 4, code: "MESH-1001", reason: "r" }],
  rewind: ["critical"],
  creditBytes: 1,
  cloudMs: 1.5,
});
const headers = [
  ...["ce-specversion", "1.0", "ce-id", "1", "CE-Source", "/a", "ce-type", "t"],
  ...["Content-Type", "application/json", "ce-subject", "%E2%82%AC", "ce-q", '"a\\"b"'],
];

/** Flips, cuts, doubles, inserts and overwrites; sometimes nothing but noise. */
function mutate(chance: Chance, bytes: Uint8Array): Uint8Array {
  const pick = (below: number): number => Math.floor(chance.float() * below);
  if (chance.float() < 0.1) return Uint8Array.from({ length: pick(200) }, () => pick(256));
  let out = Buffer.from(bytes);
  for (let left = 1 + pick(4); left > 0; left -= 1) {
    const at = pick(out.length);
    const until = Math.min(out.length, at + pick(20));
    const kind = pick(5);
    if (kind === 0) out[at] = pick(256);
    else if (kind === 1) out = Buffer.concat([out.subarray(0, at), out.subarray(until)]);
    else if (kind === 2) out = Buffer.concat([out.subarray(0, until), out.subarray(at)]);
    else if (kind === 3) out = out.subarray(0, at);
    else out[at] = '{}[]",:\\0u'.charCodeAt(pick(10));
    if (out.length === 0) return out;
  }
  return out;
}

function mutateHeaders(chance: Chance): string[] {
  const mutated = headers.map((part) =>
    chance.float() < 0.15 ? Buffer.from(mutate(chance, bytesOf(part))).toString("latin1") : part,
  );
  return chance.float() < 0.1 ? mutated.slice(0, Math.floor(chance.float() * 15)) : mutated;
}

/** Runs the decoder on mutated input; how many inputs were refused. Anything thrown but a MeshError fails, with the seed. */
function fuzz(decode: (chance: Chance) => unknown): { taken: number; refused: number } {
  const chance = seededChance(seed);
  const count = { taken: 0, refused: 0 };
  for (let round = 0; round < roundCount; round += 1) {
    try {
      decode(chance);
      count.taken += 1;
    } catch (error) {
      if (!MeshError.is(error) || error.kind === "INTERNAL")
        throw new Error(`FUZZ_SEED=${seed} round ${round}`, { cause: error });
      count.refused += 1;
    }
  }
  return count;
}

function expectBoth({ taken, refused }: { taken: number; refused: number }): void {
  // Both ways are walked: the mutations are neither harmless nor hopeless.
  expect(taken).toBeGreaterThan(20);
  expect(refused).toBeGreaterThan(1000);
}

/** A damaged block with a right checksum, as a faulty writer would leave it. */
function resealed(bytes: Uint8Array, crc32: (bytes: Uint8Array) => number): Uint8Array {
  const out = Buffer.from(bytes);
  if (out.length >= 9) out.writeUInt32LE(crc32(out.subarray(5)), 1);
  return out;
}

describe("No input gets anything but an answer or a MeshError out of", () => {
  it("the structured decoder", () => {
    expectBoth(fuzz((chance) => decodeStructured(mutate(chance, single), limits)));
  });

  it("the batch decoder", () => {
    expectBoth(fuzz((chance) => decodeBatch(mutate(chance, batch), limits)));
  });

  it("the HTTP decoder", () => {
    expectBoth(
      fuzz((chance) =>
        decodeHttp({ rawHeaders: mutateHeaders(chance), body: mutate(chance, single), limits }),
      ),
    );
  });

  it("the reader of blocks, checksum right or wrong", async () => {
    const { crc32 } = await import("node:zlib");
    const { refused } = fuzz((chance) => [...new BlockReader(mutate(chance, block))]);
    expect(refused).toBeGreaterThan(1000);
    expectBoth(
      fuzz((chance) => [...new BlockReader(resealed(mutate(chance, block), (b) => crc32(b)))]),
    );
  });

  it("the decoder of acknowledgements", () => {
    expectBoth(fuzz((chance) => decodeAck(mutate(chance, ack))));
  });

  it("the structured decoder within a bounded time, whatever nests or repeats", () => {
    const hostile = ["[", '{"a":', '"', "\\", ",", " ", '{"a":[', "1", "-", '"\\u'];
    for (const piece of hostile) {
      const body = bytesOf(piece.repeat(400_000 / piece.length));
      expect(() => decodeStructured(body, limits)).toThrow();
      expect(() => decodeBatch(body, limits)).toThrow();
    }
    const type = `a/b${" ;".repeat(50_000)}!`;
    const rawHeaders = ["content-type", type];
    expect(() => decodeHttp({ rawHeaders, body: bytesOf(""), limits })).toThrow("media type");
  });
});
