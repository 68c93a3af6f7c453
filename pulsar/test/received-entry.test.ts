import { constants, deflateSync } from "node:zlib";
import { MeshError } from "@fleetmesh/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32c } from "../src/binary/crc32c.ts";
import { ProtobufWriter } from "../src/binary/protobuf-writer.ts";
import { decodeEntry } from "../src/binary/received-entry.ts";
import { sendFrame } from "../src/binary/send-frame.ts";
import type { PayloadCompression } from "../src/binary/payload-compression.ts";
import type { OutgoingMessage } from "../src/pulsar-client.ts";

const place = { ledger: 7, entry: 9 };

/** What a broker hands on of a SEND frame: all behind its command. */
function entryOf(
  messages: readonly OutgoingMessage[],
  compression: PayloadCompression = "none",
): Buffer {
  const about = { producerId: 1, producerName: "p", sequence: 5, publishedMs: 1_800_000_000_000 };
  const frame = sendFrame({ ...about, compression, messages });
  expect(frame.readUInt32BE(0)).toBe(frame.length - 4);
  return frame.subarray(8 + frame.readUInt32BE(4));
}

/** An entry with this metadata and nothing else to read. */
function strangeEntry(
  fill: (out: ProtobufWriter) => void,
  payload: Uint8Array = Buffer.from("payload"),
): Buffer {
  const out = new ProtobufWriter();
  out.u16(0x0e01);
  out.u32(0);
  out.u32(0);
  const start = out.length;
  fill(out);
  out.patchU32(6, out.length - start);
  out.raw(payload);
  out.patchU32(2, crc32c(out.view().subarray(6)));
  return Buffer.from(out.view());
}

const text = fc.string({ unit: "grapheme", maxLength: 200 });
const message = fc.record({
  payload: fc.uint8Array({ maxLength: 3_000 }),
  properties: fc.dictionary(text, text),
  key: fc.option(text, { nil: undefined }),
});

describe("a received entry", () => {
  it("gives the messages that were sent, alone or in a batch, compressed or not", () => {
    const sent = fc.array(message, { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(sent, fc.constantFrom("none", "zlib"), (messages, compression) => {
        const decoded = decodeEntry({ ...place, bytes: entryOf(messages, compression) });
        expect(decoded.permits).toBe(messages.length);
        const isBatch = messages.length > 1;
        expect(decoded.messages).toEqual(
          messages.map((each, index) => ({
            ...each,
            id: { ...place, batch: isBatch ? index : -1 },
            payload: new Uint8Array(each.payload),
            publishedMs: 1_800_000_000_000,
          })),
        );
      }),
    );
  });

  it("keeps a property named __proto__", () => {
    const properties = JSON.parse('{"__proto__":"x"}') as Record<string, string>;
    const bytes = entryOf([{ payload: new Uint8Array(1), properties }]);
    const [received] = decodeEntry({ ...place, bytes }).messages;
    expect(Object.entries(received?.properties ?? {})).toEqual([["__proto__", "x"]]);
  });

  it("is PULSAR_UNAVAILABLE, to be fetched again, when any byte changed on the way", () => {
    const bytes = entryOf([{ payload: Buffer.from("payload"), properties: { a: "b" } }]);
    for (let at = 2; at < bytes.length; at += 1) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      const failure = failureOf(() => decodeEntry({ ...place, bytes: damaged }));
      expect(failure, `byte ${at}`).toMatchObject({ kind: "PULSAR_UNAVAILABLE", retryable: true });
    }
  });

  it("of hostile bytes, checksum or not, is PULSAR_UNAVAILABLE and nothing worse", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
        const bytes = strangeEntry((out) => out.raw(tail));
        const failure = failureOf(() => decodeEntry({ ...place, bytes }));
        if (failure !== undefined) expect(MeshError.is(failure, "PULSAR_UNAVAILABLE")).toBe(true);
      }),
    );
  });

  it.each([
    ["compressed with LZ4", 8, 1],
    ["compressed with Snappy", 8, 4],
    ["a chunk of a larger one", 27, 3],
  ])("says for good when it is %s", (kind, field, value) => {
    const bytes = strangeEntry((out) => out.number(field, value));
    const failure = failureOf(() => decodeEntry({ ...place, bytes }));
    expect(failure).toMatchObject({ kind: "PULSAR_UNAVAILABLE", retryable: false });
    expect(failure).toHaveProperty("message", expect.stringContaining(kind));
  });

  it("is read, too, when its compressed bytes are flushed but never ended, as Java's are", () => {
    const plain = Buffer.from("the payload");
    const flushed = deflateSync(plain, { finishFlush: constants.Z_SYNC_FLUSH });
    const bytes = strangeEntry((out) => {
      out.number(8, 2);
      out.number(9, plain.length);
    }, flushed);
    const { messages } = decodeEntry({ ...place, bytes });
    expect(messages.map(({ payload }) => Buffer.from(payload).toString())).toEqual(["the payload"]);
    const cut = strangeEntry(
      (out) => {
        out.number(8, 2);
        out.number(9, plain.length);
      },
      flushed.subarray(0, 6),
    );
    expect(failureOf(() => decodeEntry({ ...place, bytes: cut }))).toBeDefined();
  });

  it("takes no more memory than it says when it decompresses", () => {
    const messages = [1, 2].map(() => ({ payload: new Uint8Array(100_000), properties: {} }));
    const bytes = entryOf(messages, "zlib");
    expect(bytes.length).toBeLessThan(3_000);
    const lying = strangeEntry((out) => {
      out.number(8, 2);
      out.number(9, 10);
    });
    expect(failureOf(() => decodeEntry({ ...place, bytes: lying }))).toBeDefined();
  });

  it("without messages for consumers gives none, and still counts", () => {
    const bytes = strangeEntry((out) => out.number(20, 10));
    expect(decodeEntry({ ...place, bytes })).toEqual({ permits: 1, messages: [] });
  });
});

function failureOf(act: () => unknown): unknown {
  try {
    act();
    return undefined;
  } catch (error) {
    return error;
  }
}
