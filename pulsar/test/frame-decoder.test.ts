import { MeshError } from "@fleetmesh/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameDecoder } from "../src/binary/frame-decoder.ts";
import { ProtobufFields } from "../src/binary/protobuf-fields.ts";
import { ProtobufReader } from "../src/binary/protobuf-reader.ts";
import { ProtobufWriter } from "../src/binary/protobuf-writer.ts";

const frameOf = (body: Uint8Array): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
};

/** The bytes cut at these places. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...cuts.map((cut) => cut % (bytes.length + 1)), 0, bytes.length].sort(
    (a, b) => a - b,
  );
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

describe("the frames of a connection", () => {
  it("come out whole and in order, however the bytes are cut", () => {
    const body = fc.uint8Array({ minLength: 4, maxLength: 200 });
    fc.assert(
      fc.property(fc.array(body), fc.array(fc.nat()), (bodies, cuts) => {
        const taken: Buffer[] = [];
        const decoder = new FrameDecoder(1_000, (buffer, start, end) => {
          taken.push(Buffer.from(buffer.subarray(start, end)));
        });
        for (const piece of pieces(Buffer.concat(bodies.map(frameOf)), cuts)) decoder.push(piece);
        expect(taken.map((each) => [...each])).toEqual(bodies.map((each) => [...each]));
      }),
    );
  });

  it("end with PULSAR_UNAVAILABLE when one claims more than is allowed, before it is kept", () => {
    const decoder = new FrameDecoder(1_000, () => undefined);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(1_001);
    expect(() => decoder.push(head)).toThrow(MeshError);
    const web = new FrameDecoder(1_000, () => undefined);
    expect(() => web.push(Buffer.from("HTTP/1.1 400 Bad Request\r\n"))).toThrow("protocol");
  });
});

describe("protobuf", () => {
  it("gives back the numbers and texts that were written", () => {
    const number = fc.oneof(fc.constant(-1), fc.maxSafeNat());
    fc.assert(
      fc.property(number, fc.string({ unit: "grapheme", maxLength: 300 }), (value, text) => {
        const out = new ProtobufWriter(16);
        const outer = out.begin(3);
        out.number(1, value);
        out.text(200, text);
        out.end(outer);
        const fields = new ProtobufFields(Buffer.from(out.view())).message(3);
        expect(fields?.number(1)).toBe(value);
        expect(fields?.text(200)).toBe(Buffer.from(text).toString());
      }),
    );
  });

  it("of hostile bytes is PULSAR_UNAVAILABLE or a value, and never beyond its end", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const reader = new ProtobufReader(Buffer.from(bytes));
        try {
          while (reader.next()) reader.skip();
        } catch (error) {
          expect(MeshError.is(error, "PULSAR_UNAVAILABLE")).toBe(true);
        }
        expect(reader.position).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});
