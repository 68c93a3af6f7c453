import { isUtf8 } from "node:buffer";
import { MeshError } from "../error/mesh-error.ts";
import { EventDraft } from "./event-draft.ts";
import type { DataKind, MeshEvent } from "./event.ts";
import { eventInvalid } from "./event-invalid.ts";
import { assertEventSize, eventByteSize, type EventLimits } from "./event-limits.ts";
import { decodeBatch, decodeStructured, encodeBatch, encodeStructured } from "./json-format.ts";
import { JsonScanner } from "./json-scanner.ts";
import { essenceOf, isJsonType, isTextType, isUtf8Charset } from "./media-type.ts";
import { decodeHeaderValue, encodeHeaderValue } from "./percent-encoding.ts";

export type HttpMode = "binary" | "structured" | "batch";

export interface HttpInput {
  /** Name, value, name, value ... as Node's `rawHeaders`: joined headers would hide a duplicate. */
  readonly rawHeaders: readonly string[];
  readonly body: Uint8Array;
  readonly limits: EventLimits;
}

export interface HttpMessage {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface HttpEvents {
  readonly mode: HttpMode;
  /** One event, unless the mode is batch. */
  readonly events: readonly MeshEvent[];
}

const structuredType = "application/cloudevents+json";
const batchType = "application/cloudevents-batch+json";
const noBytes = new Uint8Array(0);

/**
 * The events of an HTTP request or response (CloudEvents HTTP binding 1.0). The mode follows from Content-Type alone.
 * In binary mode every extension is text, as headers have no types. A body of no bytes is no data when there is no
 * Content-Type or a JSON one (no bytes are no JSON); under any other Content-Type it is data of length 0.
 * Errors: EVENT_INVALID (details.attribute, in a batch details.index), EVENT_TOO_LARGE, CONTENT_TYPE_UNSUPPORTED.
 */
export function decodeHttp(input: HttpInput): HttpEvents {
  const contentType = contentTypeOf(input.rawHeaders);
  const mode = modeOf(contentType);
  if (mode === "batch") return { mode, events: decodeBatch(input.body, input.limits) };
  if (mode === "structured") return { mode, events: [decodeStructured(input.body, input.limits)] };
  return { mode, events: [decodeBinary(input, contentType)] };
}

/** The event as headers and body. Binary mode without data has an empty body; a webhook sender must use structured then. */
export function encodeHttp(event: MeshEvent, mode: HttpMode): HttpMessage {
  if (mode === "batch") return encodeHttpBatch([event]);
  if (mode === "binary") return { headers: binaryHeaders(event), body: event.data ?? noBytes };
  return { headers: { "content-type": structuredType }, body: encodeStructured(event) };
}

/** To be used only where the receiver asked for batches. */
export function encodeHttpBatch(events: readonly MeshEvent[]): HttpMessage {
  return { headers: { "content-type": batchType }, body: encodeBatch(events) };
}

function contentTypeOf(rawHeaders: readonly string[]): string | undefined {
  let contentType: string | undefined;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== "content-type") continue;
    if (contentType !== undefined) throw eventInvalid("content-type", "is given more than once");
    contentType = rawHeaders[at + 1]?.trim();
  }
  return contentType === "" ? undefined : contentType;
}

function modeOf(contentType: string | undefined): HttpMode {
  if (!contentType?.toLowerCase().startsWith("application/cloudevents")) return "binary";
  const essence = essenceOf(contentType);
  const isReadable = essence === structuredType || essence === batchType;
  if (!isReadable || !isUtf8Charset(contentType))
    throw new MeshError(
      "CONTENT_TYPE_UNSUPPORTED",
      `Content-Type ${contentType.slice(0, 100)} is not read here`,
    );
  return essence === batchType ? "batch" : "structured";
}

function decodeBinary(input: HttpInput, contentType: string | undefined): MeshEvent {
  assertEventSize(input.body.length, input.limits.maxEventBytes);
  const draft = new EventDraft();
  if (contentType !== undefined) draft.set("datacontenttype", contentType);
  const { rawHeaders } = input;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const header = (rawHeaders[at] as string).toLowerCase();
    if (header.startsWith("ce-")) setFromHeader(draft, header, rawHeaders[at + 1] as string);
  }
  setBody(draft, input.body);
  const event = draft.finish();
  assertEventSize(eventByteSize(event), input.limits.maxEventBytes);
  return event;
}

function setFromHeader(draft: EventDraft, header: string, given: string): void {
  const name = header.slice(3);
  if (name === "datacontenttype")
    throw eventInvalid(header, "must not be there: use Content-Type instead");
  const trimmed = given.trim();
  if (trimmed === "") throw eventInvalid(name, "must not be an empty header");
  const value = decodeHeaderValue(trimmed);
  if (value === undefined) throw eventInvalid(name, "is not percent-encoded UTF-8 in its header");
  draft.set(name, value);
}

function setBody(draft: EventDraft, body: Uint8Array): void {
  const type = draft.datacontenttype;
  if (body.length === 0 && (type === undefined || isJsonType(type))) return;
  draft.data = body;
  draft.dataKind = type === undefined ? "binary" : kindOf(type, body);
}

function kindOf(contentType: string, body: Uint8Array): DataKind {
  if (!isUtf8(body)) return "binary";
  if (isJsonType(contentType))
    return isUtf8Charset(contentType) && isJson(body) ? "json" : "binary";
  return isTextType(contentType) ? "text" : "binary";
}

function isJson(body: Uint8Array): boolean {
  const scanner = new JsonScanner(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
  try {
    scanner.skipValue();
    scanner.assertEnd();
    return true;
  } catch {
    return false;
  }
}

function binaryHeaders(event: MeshEvent): Record<string, string> {
  const headers: Record<string, string> = {
    "ce-specversion": "1.0",
    "ce-id": encodeHeaderValue(event.id),
    "ce-source": encodeHeaderValue(event.source),
    "ce-type": encodeHeaderValue(event.type),
  };
  if (event.subject !== undefined) headers["ce-subject"] = encodeHeaderValue(event.subject);
  if (event.time !== undefined) headers["ce-time"] = encodeHeaderValue(event.time);
  if (event.dataschema !== undefined)
    headers["ce-dataschema"] = encodeHeaderValue(event.dataschema);
  for (const [name, value] of event.extensions)
    headers[`ce-${name}`] = encodeHeaderValue(String(value));
  const contentType = event.datacontenttype ?? impliedType(event);
  if (contentType !== undefined) headers["content-type"] = contentType;
  return headers;
}

/** The JSON format implies application/json; outside it the type must be said. */
function impliedType(event: MeshEvent): string | undefined {
  return event.data !== undefined && event.dataKind === "json" ? "application/json" : undefined;
}
