import fc from "fast-check";
import type { AttributeValue, BlockEntry, DataKind, MeshEvent } from "../src/index.ts";

const name = fc.stringMatching(/^[a-z0-9]{1,20}$/);
const text = fc.oneof(fc.string({ minLength: 1 }), fc.string({ unit: "grapheme", minLength: 1 }));
const optionalText = fc.option(text, { nil: undefined });
const value: fc.Arbitrary<AttributeValue> = fc.oneof(
  text,
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.boolean(),
);
const kind: fc.Arbitrary<DataKind> = fc.constantFrom("json", "text", "binary");

/** Any event a door can hand on, without regard to sense. */
export const arbitraryEvent: fc.Arbitrary<MeshEvent> = fc.record({
  id: text,
  source: text,
  type: text,
  subject: optionalText,
  time: optionalText,
  datacontenttype: optionalText,
  dataschema: optionalText,
  extensions: fc.array(fc.tuple(name, value), { maxLength: 5 }),
  data: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
  dataKind: kind,
});

export const arbitraryEntry: fc.Arbitrary<BlockEntry> = fc.record({
  topic: fc.constantFrom("vehicle.telemetry", "vehicle.trip", "a"),
  sequence: fc.nat(2 ** 31),
  receivedMs: fc.double({ noNaN: true, noDefaultInfinity: true }),
  event: arbitraryEvent,
});
