import { attributeOf, isJsonType, type MeshEvent } from "@fleetmesh/core/base";
import type { EventData } from "./changed-event.ts";
import type { FieldPath, Segment } from "./field-path.ts";
import { parseJsonTree, type JsonNode } from "./json-tree.ts";
import { transformFailed } from "./transform-failed.ts";

/** What a rule may name of an event: its attributes and, where they can be looked into, its data, read once. */
export class EventFields {
  readonly event: MeshEvent;
  #text: string | undefined;
  #root: JsonNode | undefined;

  constructor(event: MeshEvent) {
    this.event = event;
  }

  /** The data as JSON text: text is a JSON string. Throws TRANSFORM_FAILED when they are neither. */
  get dataText(): string {
    this.#text ??= jsonTextOf(this.event);
    return this.#text;
  }

  get dataRoot(): JsonNode {
    this.#root ??= parseJsonTree(this.dataText);
    return this.#root;
  }

  /** The JSON text of a value, as it is written in the event; undefined where there is none. */
  pick({ attribute, segments }: FieldPath): string | undefined {
    if (attribute === "data") return this.#pickData(segments);
    const value = attributeOf(this.event, attribute);
    return value === undefined ? undefined : JSON.stringify(value);
  }

  #pickData(segments: readonly Segment[]): string | undefined {
    if (this.event.data === undefined) return undefined;
    if (segments.length === 0) return this.dataText;
    let node: JsonNode | undefined = this.dataRoot;
    // Of a name that is given twice the last one counts, as for JSON.parse.
    for (const wanted of segments)
      node = node?.members.findLast(({ name }) => name === wanted)?.value;
    return node && this.dataText.slice(node.start, node.end);
  }
}

/** Data for an event of this content type. */
export function dataOfJson(text: string, contentType: string | undefined): EventData {
  if (contentType === undefined || isJsonType(contentType))
    return { data: Buffer.from(text), dataKind: "json" };
  const value: unknown = JSON.parse(text);
  if (typeof value === "string") return { data: Buffer.from(value), dataKind: "text" };
  throw transformFailed(
    "result",
    `The rule makes JSON data, and datacontenttype is ${contentType}: let it set application/json`,
  );
}

function jsonTextOf({ data, dataKind }: MeshEvent): string {
  if (data === undefined) throw transformFailed("missing", "The event has no data");
  if (dataKind === "binary")
    throw transformFailed("error", "The data are not JSON: no rule can look into them");
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8");
  return dataKind === "json" ? text : JSON.stringify(text);
}
