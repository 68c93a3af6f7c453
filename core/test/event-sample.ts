import * as fc from "fast-check";
import { MeshError } from "../src/error/mesh-error.ts";
import { noExtensions, type AttributeValue, type MeshEvent } from "../src/event/event.ts";

export const limits = { maxEventBytes: 262_144 };

/** The least event there is, with what a test adds. */
export function eventOf(changes: Partial<MeshEvent> = {}): MeshEvent {
  return {
    id: "1",
    source: "urn:vehicle:1",
    type: "com.example.moved",
    subject: undefined,
    time: undefined,
    datacontenttype: undefined,
    dataschema: undefined,
    extensions: noExtensions,
    data: undefined,
    dataKind: "binary",
    ...changes,
  };
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString("utf8");

/** An event without its view's identity, so that equal bytes compare equal. */
export function plainOf(event: MeshEvent): unknown {
  return { ...event, data: event.data === undefined ? undefined : [...event.data] };
}

/** The MeshError that the act ends in; anything else fails the test. */
export function refusal(act: () => unknown): MeshError {
  try {
    act();
  } catch (error) {
    if (MeshError.is(error)) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

const forbidden = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u;
const attributeText = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
  .filter((text) => !forbidden.test(text));
const reserved = /^(?:data|specversion|id|source|type|subject|time|datacontenttype|dataschema)$/;
const extensionName = fc.stringMatching(/^[a-z0-9]{1,12}$/).filter((name) => !reserved.test(name));
const extensionValue: fc.Arbitrary<AttributeValue> = fc.oneof(
  attributeText,
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.boolean(),
);

interface Content {
  readonly data: Uint8Array | undefined;
  readonly dataKind: MeshEvent["dataKind"];
  readonly datacontenttype: string | undefined;
}

const none = fc.constant<Content>({
  data: undefined,
  dataKind: "binary",
  datacontenttype: undefined,
});
const json = fc.record<Content>({
  data: fc.json().map(bytesOf),
  dataKind: fc.constant("json"),
  datacontenttype: fc.constantFrom(undefined, "application/json", "application/vnd.car+json; v=1"),
});
const text = fc.record<Content>({
  data: fc.string({ unit: "grapheme" }).map(bytesOf),
  dataKind: fc.constant("text"),
  datacontenttype: fc.constantFrom("text/plain", "application/xml; charset=utf-8"),
});
const binary = fc.record<Content>({
  data: fc.uint8Array({ minLength: 1, maxLength: 100 }),
  dataKind: fc.constant("binary"),
  datacontenttype: fc.constantFrom(undefined, "application/octet-stream", "image/png"),
});

/** Any valid event, all kinds of data among them. */
export const anyEvent: fc.Arbitrary<MeshEvent> = fc
  .record({
    id: attributeText,
    source: fc.webUrl().filter((url) => /^[!-~]+$/.test(url)),
    type: attributeText,
    subject: fc.option(attributeText, { nil: undefined }),
    time: fc.constantFrom(undefined, "2026-11-23T06:12:28.123456+08:00", "1985-04-12T23:20:50Z"),
    dataschema: fc.constantFrom(undefined, "https://example.com/schema"),
    extensions: fc.uniqueArray(fc.tuple(extensionName, extensionValue), {
      selector: ([name]) => name,
      maxLength: 12,
    }),
    content: fc.oneof(none, json, text, binary),
  })
  .map(({ content, ...attributes }) => ({ ...attributes, ...content }));
