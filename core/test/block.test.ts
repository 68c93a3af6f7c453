import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BlockReader, BlockWriter, encodeBlock, MeshError } from "../src/index.ts";
import { arbitraryEntry } from "./arbitrary-event.ts";

describe("a block of events", () => {
  it("gives back every entry as it was put in", () => {
    fc.assert(
      fc.property(fc.array(arbitraryEntry, { maxLength: 20 }), (entries) => {
        expect([...new BlockReader(encodeBlock(entries))]).toEqual(entries);
      }),
    );
  });

  it("reads any one entry without the others", () => {
    fc.assert(
      fc.property(fc.array(arbitraryEntry, { minLength: 3, maxLength: 9 }), (entries) => {
        const reader = new BlockReader(encodeBlock(entries));
        expect(reader.entry(2)).toEqual(entries[2]);
        expect(reader.entry(0)).toEqual(entries[0]);
      }),
    );
  });

  it("is written again from the start after it was finished", () => {
    const [entry] = fc.sample(arbitraryEntry, 1);
    if (entry === undefined) throw new Error("no sample");
    const writer = new BlockWriter();
    writer.add(entry);
    const bytes = writer.byteCount;
    const first = writer.finish();
    expect(first.byteLength).toBe(bytes);
    expect(first.buffer.byteLength).toBe(bytes);
    writer.add(entry);
    expect(writer.finish()).toEqual(first);
  });

  it("refuses any changed byte", () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryEntry, { minLength: 1, maxLength: 3 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (entries, at, change) => {
          const bytes = encodeBlock(entries);
          bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ change;
          expect(() => new BlockReader(bytes)).toThrow(MeshError);
        },
      ),
    );
  });

  it("refuses any shortened block", () => {
    const bytes = encodeBlock(fc.sample(arbitraryEntry, 2));
    for (let length = 0; length < bytes.length; length += 1)
      expect(() => new BlockReader(bytes.subarray(0, length))).toThrow(MeshError);
  });
});
