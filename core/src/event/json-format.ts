import { isUtf8 } from "node:buffer";
import { MeshError } from "../error/mesh-error.ts";
import { EventDraft } from "./event-draft.ts";
import type { AttributeValue, MeshEvent } from "./event.ts";
import { eventInvalid } from "./event-invalid.ts";
import {
  assertEventSize,
  eventByteSize,
  structuredBytesMax,
  type EventLimits,
} from "./event-limits.ts";
import { JsonScanner, type Span } from "./json-scanner.ts";
import { isJsonType } from "./media-type.ts";
import { TextCache } from "./text-cache.ts";

const quote = 0x22;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const letterN = 0x6e;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const wholeNumber = /^-?\d+$/;
const names = new TextCache();
const values = new TextCache();
const halfSurrogate = /\p{Cs}/u;

/**
 * One CloudEvent from its JSON text (CloudEvents JSON format 1.0). `data` of the result is a view into the given bytes:
 * who keeps the event keeps them. JSON data is the member's bytes exactly as they came.
 * Throws EVENT_INVALID (details.attribute where one is to blame) or EVENT_TOO_LARGE.
 */
export function decodeStructured(bytes: Uint8Array, limits: EventLimits): MeshEvent {
  assertEventSize(bytes.length, structuredBytesMax(limits));
  const text = utf8View(bytes);
  const scanner = new JsonScanner(text);
  if (scanner.peek() === openBracket)
    throw new MeshError("EVENT_INVALID", "One event was expected, a batch came", {
      hint: "Send a batch as application/cloudevents-batch+json over HTTP.",
    });
  const event = readEvent(scanner, text, limits);
  scanner.assertEnd();
  return event;
}

/**
 * The events of a JSON batch, in order; `[]` is a batch. All or nothing: the first event at fault is named by
 * `details.index`. The caller bounds the bytes of the whole. Data are views into the given bytes.
 */
export function decodeBatch(bytes: Uint8Array, limits: EventLimits): MeshEvent[] {
  const text = utf8View(bytes);
  const scanner = new JsonScanner(text);
  const events: MeshEvent[] = [];
  if (scanner.peek() === openBrace)
    throw new MeshError("EVENT_INVALID", "A batch was expected, an object came", {
      hint: "Send one event as application/cloudevents+json.",
    });
  scanner.expect(openBracket);
  try {
    while (scanner.hasMore(closeBracket, events.length === 0))
      events.push(readEvent(scanner, text, limits));
  } catch (error) {
    throw atIndex(error, events.length);
  }
  scanner.assertEnd();
  return events;
}

/** The JSON text of one event. The result may share a pooled ArrayBuffer: copy it before a transfer. */
export function encodeStructured(event: MeshEvent): Uint8Array {
  const text = new StructuredText(event);
  const out = Buffer.allocUnsafe(text.byteCount);
  text.write(out, 0);
  return out;
}

/** The JSON batch of the events, in order. */
export function encodeBatch(events: readonly MeshEvent[]): Uint8Array {
  const parts = events.map((event) => new StructuredText(event));
  const separators = Math.max(1, parts.length);
  const byteCount = parts.reduce((sum, part) => sum + part.byteCount, 1 + separators);
  const out = Buffer.allocUnsafe(byteCount);
  let at = 1;
  for (const part of parts) {
    at = part.write(out, at);
    out[at++] = 0x2c;
  }
  out[0] = openBracket;
  out[byteCount - 1] = closeBracket;
  return out;
}

function utf8View(bytes: Uint8Array): Buffer {
  if (!isUtf8(bytes)) throw new MeshError("EVENT_INVALID", "The event is not valid UTF-8");
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function atIndex(error: unknown, index: number): unknown {
  if (!MeshError.is(error)) return error;
  const { message, details, cause } = error;
  return new MeshError(error.kind, `Event ${index} of the batch: ${message}`, {
    cause,
    details: { ...details, index },
  });
}

function readEvent(scanner: JsonScanner, text: Buffer, limits: EventLimits): MeshEvent {
  const draft = new EventDraft();
  let data: Span | undefined;
  let base64: string | undefined;
  scanner.expect(openBrace);
  const start = scanner.at;
  for (let isFirst = true; scanner.hasMore(closeBrace, isFirst); isFirst = false) {
    const name = scanner.readName(names);
    if (name === "data") {
      if (data !== undefined) throw eventInvalid(name, "is given more than once");
      data = scanner.skipValue();
    } else if (name === "data_base64") {
      if (base64 !== undefined) throw eventInvalid(name, "is given more than once");
      base64 = readBase64(scanner);
    } else {
      readAttribute(scanner, draft, name);
    }
  }
  // The text is never shorter than what it says: most events need no closer look.
  const byteCount = scanner.at - start;
  assertEventSize(byteCount, structuredBytesMax(limits));
  if (base64 !== undefined) setBinary(draft, base64, data);
  else if (data !== undefined) setData(draft, text, data);
  const event = draft.finish();
  if (byteCount > limits.maxEventBytes) assertEventSize(eventByteSize(event), limits.maxEventBytes);
  return event;
}

function readAttribute(scanner: JsonScanner, draft: EventDraft, name: string): void {
  const first = scanner.peek();
  if (first === quote) {
    // Ids and times do not repeat: they would only push the others out.
    const isUnique = name === "id" || name === "time";
    const value = scanner.readString(isUnique ? undefined : values);
    draft.set(name, value, scanner.isPlain);
  } else if (first === letterN) {
    scanner.skipValue();
    draft.unset(name);
  } else if (first === openBrace || first === openBracket) {
    throw eventInvalid(name, "must be a string, a whole number or a truth value");
  } else {
    draft.set(name, literalOf(name, scanner.readRaw()));
  }
}

function literalOf(name: string, text: string): AttributeValue {
  if (text === "true") return true;
  if (text === "false") return false;
  const value = Number(text);
  // The 32-bit integer that is the same number; -0 becomes 0.
  const whole = value | 0;
  if (wholeNumber.test(text) && whole === value) return whole;
  throw eventInvalid(name, "must be a whole number of 32 bits, without fraction or exponent");
}

function readBase64(scanner: JsonScanner): string {
  if (scanner.peek() !== quote) throw eventInvalid("data_base64", "must be a string");
  return scanner.readString();
}

function setBinary(draft: EventDraft, base64: string, data: Span | undefined): void {
  if (data !== undefined) throw eventInvalid("data_base64", 'excludes "data"');
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("base64") !== base64)
    throw eventInvalid("data_base64", "is not base64 as in RFC 4648, with padding");
  draft.data = bytes;
  draft.dataKind = "binary";
}

function setData(draft: EventDraft, text: Buffer, { start, end }: Span): void {
  if (draft.datacontenttype === undefined || isJsonType(draft.datacontenttype)) {
    draft.data = text.subarray(start, end);
    draft.dataKind = "json";
    return;
  }
  if (text[start] !== quote)
    throw eventInvalid("data", `must be a string, as the type is ${draft.datacontenttype}`);
  const value = JSON.parse(text.toString("utf8", start, end)) as string;
  if (halfSurrogate.test(value)) throw eventInvalid("data", "holds half of a surrogate pair");
  draft.data = Buffer.from(value);
  draft.dataKind = "text";
}

/** The JSON text of one event, for whoever has memory to write it to. */
export class StructuredText {
  readonly byteCount: number;
  /** Up to the data; a brace closes the event. */
  readonly #head: string;
  readonly #isAscii: boolean;
  /** The data where they are embedded as they are. */
  readonly #data: Uint8Array | undefined;

  constructor(event: MeshEvent) {
    const isEmbedded = event.dataKind === "json" && hasJsonType(event);
    this.#data = isEmbedded ? event.data : undefined;
    this.#head = attributesText(event) + dataText(event, isEmbedded);
    const headBytes = Buffer.byteLength(this.#head);
    this.#isAscii = headBytes === this.#head.length;
    this.byteCount = headBytes + (this.#data?.length ?? 0) + 1;
  }

  /** Writes `byteCount` bytes from `start` on; where they end. */
  write(out: Buffer, start: number): number {
    let at = start;
    // Bytes as they are cost less than a look at each.
    if (this.#isAscii) at += out.write(this.#head, at, "latin1");
    else at += out.write(this.#head, at, "utf8");
    if (this.#data !== undefined) {
      out.set(this.#data, at);
      at += this.#data.length;
    }
    out[at] = closeBrace;
    return at + 1;
  }
}

function attributesText(event: MeshEvent): string {
  const { id, source, type, subject, time, datacontenttype, dataschema } = event;
  let text = `{"specversion":"1.0","id":${quoted(id)},"source":${quoted(source)}`;
  text += `,"type":${quoted(type)}`;
  if (subject !== undefined) text += `,"subject":${quoted(subject)}`;
  if (time !== undefined) text += `,"time":${quoted(time)}`;
  if (datacontenttype !== undefined) text += `,"datacontenttype":${quoted(datacontenttype)}`;
  if (dataschema !== undefined) text += `,"dataschema":${quoted(dataschema)}`;
  for (const [name, value] of event.extensions)
    text += `,"${name}":${typeof value === "string" ? quoted(value) : String(value)}`;
  return text;
}

/** Nearly all attributes are such: the expression costs a fraction of JSON.stringify. */
const plainText = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  return plainText.test(text) ? `"${text}"` : JSON.stringify(text);
}

function hasJsonType(event: MeshEvent): boolean {
  return event.datacontenttype === undefined || isJsonType(event.datacontenttype);
}

/** The data member; only its name when the bytes are embedded as they are. */
function dataText(event: MeshEvent, isEmbedded: boolean): string {
  if (event.data === undefined) return "";
  if (isEmbedded) return ',"data":';
  const bytes = Buffer.from(event.data.buffer, event.data.byteOffset, event.data.byteLength);
  // Under a JSON type a string would be read as a JSON value: text that is none keeps its bytes only as base64.
  if (event.dataKind !== "binary" && !hasJsonType(event) && isUtf8(bytes))
    return `,"data":${JSON.stringify(bytes.toString("utf8"))}`;
  return `,"data_base64":"${bytes.toString("base64")}"`;
}
