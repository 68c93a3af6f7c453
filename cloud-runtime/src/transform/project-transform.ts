import { createHmac } from "node:crypto";
import type { AttributeValue, MeshEvent } from "@fleetmesh/core/base";
import { attributesOf, changedEvent, type EventData } from "./changed-event.ts";
import { EventFields } from "./event-fields.ts";
import { every, parseFieldPath, type FieldPath } from "./field-path.ts";
import type { JsonMember, JsonNode } from "./json-tree.ts";
import { invalidTransform, transformFailed } from "./transform-failed.ts";
import type { CompileLight } from "./transform.ts";

interface Projection {
  /** Undefined = everything. */
  readonly keep: readonly FieldPath[] | undefined;
  readonly redact: readonly FieldPath[];
  readonly hash: readonly FieldPath[];
  readonly salt: string;
}

const pathsMax = 500;
const saltCharsMin = 16;
const saltCharsMax = 200;
/** 128 bits: two values with one hash are never met. */
const hashChars = 32;
/** An event is none without them. */
const required: ReadonlySet<string> = new Set(["id", "source", "type", "specversion"]);
const hashable: ReadonlySet<string> = new Set(["id", "source", "subject"]);
const coreNames: ReadonlySet<string> = new Set([
  ...required,
  ...["subject", "time", "datacontenttype", "dataschema"],
]);

/**
 * Which fields a subscriber may see. `keep` lets only these through, of data and of optional attributes; `redact` takes fields out;
 * `hash` puts a keyed hash in their place, the same for the same value everywhere, which nobody without the salt can find by
 * trying all values. What is not touched keeps its bytes. A member goes as a whole, also where its name is given twice; an item
 * of a list leaves null behind. Data that cannot be looked into are a failure as soon as one of their fields is named.
 */
export const compileProject: CompileLight = (operand, path) => {
  const projection = projectionOf(operand, path);
  return { apply: ({ event }) => [project(event, projection)] };
};

function projectionOf(operand: unknown, path: string): Projection {
  const { keep, redact, hash, ...others } = asObject(operand, path);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw invalidTransform(`${path}.${unknown}`, "is not known: keep, redact and hash are");
  if (keep === undefined && redact === undefined && hash === undefined)
    throw invalidTransform(path, "must have at least one of keep, redact and hash");
  const redacted = pathsOf(redact ?? [], `${path}.redact`);
  for (const { attribute } of redacted)
    if (required.has(attribute))
      throw invalidTransform(`${path}.redact`, `cannot take ${attribute} out: hash it, or set it`);
  return {
    keep: keep === undefined ? undefined : pathsOf(keep, `${path}.keep`),
    redact: redacted,
    ...(hash === undefined ? { hash: [], salt: "" } : hashingOf(hash, `${path}.hash`)),
  };
}

function hashingOf(operand: unknown, path: string): Pick<Projection, "hash" | "salt"> {
  const { fields, salt, ...others } = asObject(operand, path);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw invalidTransform(`${path}.${unknown}`, "is not known: fields and salt are");
  const hash = pathsOf(fields, `${path}.fields`);
  for (const field of hash) assertHashable(field, `${path}.fields`);
  return { hash, salt: saltOf(salt, `${path}.salt`) };
}

function assertHashable({ attribute, segments, text }: FieldPath, path: string): void {
  const isField = attribute === "data" ? segments.length > 0 : !coreNames.has(attribute);
  if (isField || hashable.has(attribute)) return;
  throw invalidTransform(
    path,
    `cannot hash ${text}: only fields of the data, id, source, subject and extensions`,
  );
}

function saltOf(salt: unknown, path: string): string {
  if (typeof salt === "string" && salt.length >= saltCharsMin && salt.length <= saltCharsMax)
    return salt;
  throw invalidTransform(
    path,
    `must be a secret text of ${saltCharsMin} to ${saltCharsMax} letters`,
  );
}

function pathsOf(list: unknown, path: string): FieldPath[] {
  if (!Array.isArray(list) || list.length > pathsMax)
    throw invalidTransform(path, `must be a list of at most ${pathsMax} paths`);
  return list.map((written, at) => parseFieldPath(written, `${path}[${at}]`, true));
}

function project(event: MeshEvent, projection: Projection): MeshEvent {
  const attributes: (readonly [string, AttributeValue])[] = [];
  for (const [name, value] of attributesOf(event)) {
    const isNamed = (fields: readonly FieldPath[]): boolean =>
      fields.some(({ attribute }) => attribute === name);
    const isKept = projection.keep === undefined || isNamed(projection.keep);
    const isNeeded = required.has(name) || name === "datacontenttype";
    if ((!isKept && !isNeeded) || isNamed(projection.redact)) continue;
    const isHashed = isNamed(projection.hash);
    attributes.push([name, isHashed ? hashOf(String(value), projection.salt) : value]);
  }
  return changedEvent(attributes, projectData(event, projection));
}

function projectData(event: MeshEvent, { keep, redact, hash, salt }: Projection): EventData {
  const { data, dataKind } = event;
  const none: EventData = { data: undefined, dataKind: "binary" };
  const [kept, gone, hashed] = [keep && inData(keep), inData(redact), inData(hash)];
  if (data === undefined || isWhole(gone) || kept?.length === 0) return none;
  const isAllKept = kept === undefined || isWhole(kept);
  if (isAllKept && gone.length + hashed.length === 0) return { data, dataKind };
  const left = cutEvent(event, { kept: isAllKept ? undefined : kept, gone, hashed }, salt);
  return left === undefined ? none : { data: left, dataKind };
}

function cutEvent(event: MeshEvent, rules: Rules, salt: string): Uint8Array | undefined {
  if (event.dataKind !== "json")
    throw transformFailed("error", "The data are not JSON: their fields cannot be told apart");
  const { dataText: text, dataRoot } = new EventFields(event);
  const left = new Cutter(text, salt).cut(dataRoot, rules, 0);
  if (left === undefined) return undefined;
  return left === text ? event.data : Buffer.from(left);
}

/** The paths that lead on from a place; `kept` is undefined where everything below is kept. */
interface Rules {
  readonly kept: readonly FieldPath[] | undefined;
  readonly gone: readonly FieldPath[];
  readonly hashed: readonly FieldPath[];
}

/** Cuts out of a JSON text, and leaves what no rule concerns as it is written. */
class Cutter {
  readonly #text: string;
  readonly #salt: string;

  constructor(text: string, salt: string) {
    this.#text = text;
    this.#salt = salt;
  }

  /** The text of what is left of a value; undefined = nothing. */
  cut(node: JsonNode, rules: Rules, depth: number): string | undefined {
    const raw = this.#text.slice(node.start, node.end);
    if (ends(rules.gone, depth)) return undefined;
    if (ends(rules.hashed, depth)) return this.#hashed(raw);
    const kept = rules.kept && !ends(rules.kept, depth) ? rules.kept : undefined;
    if (kept === undefined && rules.gone.length + rules.hashed.length === 0) return raw;
    // Only something inside of it is kept, and it has no inside.
    if (node.kind === "scalar") return kept === undefined ? raw : undefined;
    return this.#cutMembers(node, { ...rules, kept }, depth);
  }

  #cutMembers(node: JsonNode, rules: Rules, depth: number): string {
    let isWhole = true;
    const parts: string[] = [];
    for (const member of node.members) {
      const whole = this.#text.slice(member.start, member.value.end);
      const part = this.#cutMember(member, rules, depth);
      if (part !== whole) isWhole = false;
      if (part !== undefined) parts.push(part);
      else if (node.kind === "array") parts.push("null");
    }
    if (isWhole) return this.#text.slice(node.start, node.end);
    const inside = parts.join(",");
    return node.kind === "object" ? `{${inside}}` : `[${inside}]`;
  }

  #cutMember({ name, start, value }: JsonMember, rules: Rules, depth: number): string | undefined {
    const kept = rules.kept && leading(rules.kept, name, depth);
    if (kept?.length === 0) return undefined;
    const gone = leading(rules.gone, name, depth);
    const hashed = leading(rules.hashed, name, depth);
    const left = this.cut(value, { kept, gone, hashed }, depth + 1);
    return left === undefined ? undefined : this.#text.slice(start, value.start) + left;
  }

  #hashed(raw: string): string {
    if (raw === "null") return raw;
    const text = raw.startsWith('"') ? (JSON.parse(raw) as string) : raw;
    return `"${hashOf(text, this.#salt)}"`;
  }
}

function leading(
  paths: readonly FieldPath[],
  name: string | number,
  depth: number,
): readonly FieldPath[] {
  if (paths.length === 0) return paths;
  return paths.filter(({ segments }) => segments[depth] === name || segments[depth] === every);
}

function ends(paths: readonly FieldPath[], depth: number): boolean {
  return paths.some(({ segments }) => segments.length === depth);
}

function inData(paths: readonly FieldPath[]): readonly FieldPath[] {
  return paths.filter(({ attribute }) => attribute === "data");
}

function isWhole(paths: readonly FieldPath[]): boolean {
  return ends(paths, 0);
}

function hashOf(text: string, salt: string): string {
  return createHmac("sha256", salt).update(text).digest("hex").slice(0, hashChars);
}

function asObject(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>;
  throw invalidTransform(path, "must be an object");
}
