import {
  classOfRank,
  classRank,
  decodeHttp,
  keyOf,
  parseTimestampMs,
  type AttributeValue,
  type DataKind,
  type EventClass,
  type EventLimits,
  type Extension,
  type MeshEvent,
} from "@fleetmesh/core";
import type { OutgoingMessage } from "./pulsar-client.ts";

/** Where an event entered the mesh and what it is known by there. */
export interface EventStamp {
  readonly region: string;
  readonly agentId?: string | undefined;
  readonly epoch?: string | undefined;
  readonly eventClass?: EventClass | undefined;
  /** The agent's number within epoch and class; 0 without an agent. */
  readonly sequence: number;
  readonly receivedMs: number;
  /** The place in the origin region's topic, of an event that a link carried. */
  readonly position?: string | undefined;
  /** Of an event that was published again because a region missed it: the number that it had, as `meshnumber` has it. */
  readonly repaired?: string | undefined;
}

/** What an event is read from; a part of a received message. */
export interface BoundMessage {
  readonly payload: Uint8Array;
  readonly properties: Readonly<Record<string, string>>;
}

/** What both kinds of stamp begin with. */
type Entered = Pick<EventStamp, "region" | "receivedMs" | "position" | "repaired">;

const nameLengthMax = 64;
const stampLengthMax = 1_024;
const propertyCountMax = 512;
const epochGrammar = /^[0-9a-f]{16}$/;
const kindLetters: Readonly<Record<DataKind, string>> = { json: "j", text: "t", binary: "b" };
const noBytes = new Uint8Array(0);

/** The event as one message, as docs/pulsar-binding.md says. */
export function encodeEvent(event: MeshEvent, stamp: EventStamp): OutgoingMessage {
  const properties: Record<string, string> = {
    ce_specversion: "1.0",
    ce_id: event.id,
    ce_source: event.source,
    ce_type: event.type,
  };
  if (event.subject !== undefined) properties["ce_subject"] = event.subject;
  if (event.time !== undefined) properties["ce_time"] = event.time;
  if (event.dataschema !== undefined) properties["ce_dataschema"] = event.dataschema;
  for (const [name, value] of event.extensions) properties[`ce_${name}`] = String(value);
  if (event.datacontenttype !== undefined) properties["content-type"] = event.datacontenttype;
  properties["meshshape"] = shapeOf(event);
  Object.assign(properties, encodeStamp(stamp));
  const eventMs = event.time === undefined ? undefined : parseTimestampMs(event.time);
  return {
    payload: event.data ?? noBytes,
    properties,
    key: keyOf(event),
    // Pulsar's event time has no sign, and 0 says that there is none.
    eventTimeMs: eventMs !== undefined && eventMs > 0 ? eventMs : undefined,
  };
}

/**
 * The stamp of a message that the mesh sent; undefined for another producer's. Throws nothing: properties that do not make
 * sense make a message foreign.
 */
export function stampOf(properties: Readonly<Record<string, string>>): EventStamp | undefined {
  const { meshorigin, meshreceived, meshposition, meshagent, meshrepaired } = properties;
  const region = bounded(meshorigin);
  const receivedMs = Number(meshreceived ?? Number.NaN);
  if (region === undefined || !Number.isFinite(receivedMs)) return undefined;
  const position = bounded(meshposition);
  const entered = { region, receivedMs, position, repaired: bounded(meshrepaired) };
  if (meshagent !== undefined) return agentStampOf(properties, entered);
  return { ...entered, agentId: undefined, epoch: undefined, eventClass: undefined, sequence: 0 };
}

function agentStampOf(
  properties: Readonly<Record<string, string>>,
  entered: Entered,
): EventStamp | undefined {
  const { meshagent, meshepoch, meshclass, meshsequence } = properties;
  const agentId = bounded(meshagent);
  const eventClass = classOfRank(Number(meshclass ?? -1));
  const sequence = Number(meshsequence);
  const isWhole =
    Number.isSafeInteger(sequence) && sequence >= (entered.position === undefined ? 1 : 0);
  if (agentId === undefined || eventClass === undefined || !isWhole) return undefined;
  if (meshepoch === undefined || !epochGrammar.test(meshepoch)) return undefined;
  return { ...entered, agentId, epoch: meshepoch, eventClass, sequence };
}

/** The event of a message that has a stamp; undefined when its properties are not what `encodeEvent` writes. */
export function eventOf({ payload, properties }: BoundMessage): MeshEvent | undefined {
  const { ce_id: id, ce_source: source, ce_type: type, meshshape } = properties;
  if (id === undefined || source === undefined || type === undefined) return undefined;
  const [head = "", list] = (meshshape ?? "").split(";", 2);
  const dataKind = dataKindOf(head);
  if (!dataKind) return undefined;
  const extensions = extensionsOf(properties, list);
  if (!extensions) return undefined;
  return {
    id,
    source,
    type,
    subject: properties["ce_subject"],
    time: properties["ce_time"],
    datacontenttype: properties["content-type"],
    dataschema: properties["ce_dataschema"],
    extensions,
    data: head.endsWith("1") ? payload : undefined,
    dataKind,
  };
}

/**
 * A CloudEvent that another Pulsar producer wrote: binary mode with `ce_` properties, or structured JSON by its content-type.
 * Undefined when it is none, or not a valid one.
 */
export function foreignEventOf(message: BoundMessage, limits: EventLimits): MeshEvent | undefined {
  const rawHeaders: string[] = [];
  const names = Object.keys(message.properties);
  if (names.length > propertyCountMax) return undefined;
  let bytes = message.payload.length;
  for (const name of names) {
    const value = message.properties[name] ?? "";
    bytes += name.length + value.length;
    if (name.toLowerCase() === "content-type") rawHeaders.push("content-type", value);
    else if (name.startsWith("ce_") && name.length <= nameLengthMax)
      rawHeaders.push(`ce-${name.slice(3)}`, headerValueOf(value));
  }
  if (rawHeaders.length === 0 || bytes > 2 * limits.maxEventBytes + 65_536) return undefined;
  try {
    const { mode, events } = decodeHttp({ rawHeaders, body: message.payload, limits });
    return mode === "batch" ? undefined : events[0];
  } catch {
    return undefined;
  }
}

/** The properties of the mesh's own alone. */
export function encodeStamp(stamp: EventStamp): Record<string, string> {
  const properties: Record<string, string> = {
    meshorigin: stamp.region,
    meshreceived: String(stamp.receivedMs),
  };
  if (stamp.position !== undefined) properties["meshposition"] = stamp.position;
  if (stamp.repaired !== undefined) properties["meshrepaired"] = stamp.repaired;
  if (stamp.agentId === undefined) return properties;
  properties["meshagent"] = stamp.agentId;
  if (stamp.epoch !== undefined) properties["meshepoch"] = stamp.epoch;
  if (stamp.eventClass !== undefined) properties["meshclass"] = String(classRank(stamp.eventClass));
  properties["meshsequence"] = String(stamp.sequence);
  return properties;
}

/** What properties cannot say: the kind of the data, whether there is any, and the extensions' order and types. */
function shapeOf(event: MeshEvent): string {
  const head = kindLetters[event.dataKind] + (event.data === undefined ? "0" : "1");
  if (event.extensions.length === 0) return head;
  const names = event.extensions.map(([name, value]) => name + typeMark(value));
  return `${head};${names.join(",")}`;
}

function typeMark(value: AttributeValue): string {
  if (typeof value === "string") return "";
  return typeof value === "number" ? ":i" : ":b";
}

function dataKindOf(head: string): DataKind | undefined {
  if (head === "j1" || head === "j0") return "json";
  if (head === "t1" || head === "t0") return "text";
  return head === "b1" || head === "b0" ? "binary" : undefined;
}

function extensionsOf(
  properties: Readonly<Record<string, string>>,
  list: string | undefined,
): Extension[] | undefined {
  const extensions: Extension[] = [];
  if (list === undefined) return extensions;
  for (const item of list.split(",")) {
    const [name = "", mark] = item.split(":", 2);
    const text = properties[`ce_${name}`];
    if (text === undefined) return undefined;
    const value = mark === undefined ? text : mark === "i" ? Number(text) : text === "true";
    extensions.push([name, value]);
  }
  return extensions;
}

function bounded(text: string | undefined): string | undefined {
  return text !== undefined && text !== "" && text.length <= stampLengthMax ? text : undefined;
}

/** As the HTTP binding writes it. Half a surrogate pair, which no UTF-8 holds, becomes the replacement character. */
function headerValueOf(value: string): string {
  if (value === "") return '""';
  return value.replace(/[^!#$&-~]+/gu, (run) => encodeURIComponent(Buffer.from(run).toString()));
}
