import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  agentMadeId,
  decodeWire,
  encodeWire,
  type BlockEntry,
  type WireBatch,
  type WireHello,
} from "../src/index.ts";
import { epoch, limits } from "./wire-batch.ts";

const document = readFileSync(new URL("../../docs/wire.md", import.meta.url), "utf8");

function example(name: string): Buffer {
  const hex = new RegExp(`^\`\`\`${name}\n([0-9a-f\n]+)\`\`\``, "m").exec(document)?.[1] ?? "";
  return Buffer.from(hex.replaceAll("\n", ""), "hex");
}

const hello: WireHello = {
  kind: "hello",
  agentId: "agent-1",
  epoch,
  classes: { critical: { oldest: 1, next: 1 }, normal: { oldest: 40, next: 43 } },
  sentMs: 1_767_225_600_500,
};

function entry(sequence: number, speed: string): BlockEntry {
  const ms = 1_767_225_600_000 + 1000 * (sequence - 40);
  const event = {
    id: agentMadeId(epoch, "normal", sequence),
    source: "urn:vehicle:a1",
    type: "com.example.speed",
    subject: undefined,
    time: new Date(ms).toISOString(),
    datacontenttype: "application/json",
    dataschema: undefined,
    extensions: [],
    data: Buffer.from(`{"speed":${speed},"moving":true}`),
    dataKind: "json",
  } as const;
  return { topic: "vehicle.telemetry", sequence, receivedMs: ms + 4, event };
}

const topics = { "vehicle.telemetry": 2 };
const entries = [entry(40, "50.5"), entry(41, "51"), entry(42, "51.25")];
const batch: WireBatch = {
  kind: "batch",
  agentId: "agent-1",
  epoch,
  eventClass: "normal",
  first: 38,
  last: 42,
  segments: [
    { kind: "gap", first: 38, last: 39, reason: "evicted", topics },
    { kind: "events", first: 40, entries },
  ],
};

describe("the examples in docs/wire.md", () => {
  it("are what the encoder writes, but for how deflate was done", () => {
    expect(Buffer.from(encodeWire(hello))).toEqual(example("hello"));
    const numbersEnd = 3 + 64;
    const encoded = Buffer.from(encodeWire(batch));
    expect(encoded.subarray(0, numbersEnd)).toEqual(example("batch").subarray(0, numbersEnd));
  });

  it("are what the decoder reads", () => {
    expect(decodeWire(example("hello"), limits)).toEqual(hello);
    expect(decodeWire(example("batch"), limits)).toEqual(batch);
  });
});
