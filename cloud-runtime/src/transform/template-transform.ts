import type { AttributeValue, MeshEvent } from "@fleetmesh/core/base";
import { attributesOf, changedEvent, type EventData } from "./changed-event.ts";
import { dataOfJson, EventFields } from "./event-fields.ts";
import { parseFieldPath } from "./field-path.ts";
import { invalidTransform, transformFailed } from "./transform-failed.ts";
import type { CompileLight } from "./transform.ts";

/** Makes JSON text out of an event's fields. */
type Part = (fields: EventFields) => string;

const depthMax = 32;
const inText = /\$\$\{|\$\{([^}|]*)(?:\|([^}]*))?\}/g;

/**
 * Constants and picks. What is not named stays as it is; an attribute that is null goes. `"$.data.vin"` is the value there with its
 * type, `"VIN ${$.data.vin}"` a text around it; `{"$pick": "$.data.speed", "default": 0}` and `"${$.data.name|unknown}"` say what
 * takes a missing value's place. Without that a missing value is a failure, and so is null inside a text or an attribute.
 * `$$` at the beginning and `$${` are a dollar sign.
 */
export const compileTemplate: CompileLight = (operand, path) => {
  if (!isObject(operand) || Object.keys(operand).length === 0)
    throw invalidTransform(path, "must be an object of attributes and data");
  const parts = new Map<string, Part | null>();
  for (const [name, value] of Object.entries(operand)) {
    if (!/^[a-z0-9]+$/.test(name) || name === "specversion")
      throw invalidTransform(`${path}.${name}`, "is not an attribute that can be set");
    parts.set(name, value === null ? null : compileValue(value, `${path}.${name}`, 1));
  }
  return { apply: ({ event }) => [render(event, parts)] };
};

function render(event: MeshEvent, parts: ReadonlyMap<string, Part | null>): MeshEvent {
  const fields = new EventFields(event);
  const attributes = new Map<string, AttributeValue>(attributesOf(event));
  for (const [name, part] of parts) {
    if (name === "data") continue;
    if (part === null) attributes.delete(name);
    else attributes.set(name, attributeValue(name, part(fields)));
  }
  return changedEvent(attributes, dataOf(fields, parts, attributes));
}

function dataOf(
  fields: EventFields,
  parts: ReadonlyMap<string, Part | null>,
  attributes: ReadonlyMap<string, AttributeValue>,
): EventData {
  const { data, dataKind } = fields.event;
  const part = parts.get("data");
  if (part === undefined) return { data, dataKind };
  if (part === null) return { data: undefined, dataKind: "binary" };
  const contentType = attributes.get("datacontenttype");
  return dataOfJson(part(fields), contentType === undefined ? undefined : String(contentType));
}

function attributeValue(name: string, text: string): AttributeValue {
  const value: unknown = JSON.parse(text);
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return value;
  if (value === null) throw transformFailed("missing", `The value for ${name} is null`);
  throw transformFailed("result", `The value for ${name} is an object or a list`);
}

function compileValue(value: unknown, path: string, depth: number): Part {
  if (depth > depthMax) throw invalidTransform(path, `is nested deeper than ${depthMax}`);
  if (typeof value === "string") return compileText(value, path);
  if (Array.isArray(value)) {
    const items = value.map((item, at) => compileValue(item, `${path}[${at}]`, depth + 1));
    return (fields) => `[${items.map((item) => item(fields)).join(",")}]`;
  }
  if (!isObject(value)) return constant(value);
  if (Object.hasOwn(value, "$pick")) return compilePick(value, path);
  const members = Object.entries(value).map(([name, member]) => {
    const part = compileValue(member, `${path}.${name}`, depth + 1);
    return { name: JSON.stringify(name), part };
  });
  return (fields) => `{${members.map(({ name, part }) => `${name}:${part(fields)}`).join(",")}}`;
}

function compilePick(value: Readonly<Record<string, unknown>>, path: string): Part {
  const other = Object.keys(value).find((name) => name !== "$pick" && name !== "default");
  if (other !== undefined)
    throw invalidTransform(`${path}.${other}`, "is not known beside $pick: only default is");
  const fallback = "default" in value ? JSON.stringify(value["default"]) : undefined;
  return pick(value["$pick"], `${path}.$pick`, fallback);
}

function pick(written: unknown, path: string, fallback?: string): Part {
  const field = parseFieldPath(written, path);
  return (fields) => fields.pick(field) ?? fallback ?? missing(field.text);
}

function compileText(text: string, path: string): Part {
  if (text.startsWith("$.") || text.startsWith("$[")) return pick(text, path);
  const escaped = text.startsWith("$$") && !text.startsWith("$${") ? text.slice(1) : text;
  const pieces: ((fields: EventFields) => string)[] = [];
  let end = 0;
  for (const found of escaped.matchAll(inText)) {
    const [whole, written, fallback] = found;
    const before = escaped.slice(end, found.index);
    end = found.index + whole.length;
    pieces.push(() => before);
    pieces.push(written === undefined ? () => "${" : compilePiece(written, path, fallback));
  }
  const rest = escaped.slice(end);
  if (pieces.length === 0) return constant(rest);
  return (fields) => JSON.stringify(pieces.map((piece) => piece(fields)).join("") + rest);
}

/** Inside a text, null counts as missing: it is nothing that a text could show. */
function compilePiece(
  written: string,
  path: string,
  fallback: string | undefined,
): (fields: EventFields) => string {
  const field = parseFieldPath(written.trim(), path);
  return (fields) => {
    const found = fields.pick(field);
    if (found === undefined || found === "null") return fallback ?? missing(field.text);
    return found.startsWith('"') ? (JSON.parse(found) as string) : found;
  };
}

function constant(value: unknown): Part {
  const text = JSON.stringify(value);
  return () => text;
}

function missing(path: string): never {
  throw transformFailed("missing", `The event has no ${path}`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
