import { attributeOf, type Chance, type MeshEvent } from "@fleetmesh/core";

const grammar = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Makes the `traceparent` of each hop: the event's trace goes on under a new parent id (W3C Trace Context 3.2). */
export class TraceParent {
  readonly #prefix: string;
  #count = 0;

  constructor(chance: Chance) {
    this.#prefix = chance.hex64().slice(0, 8);
  }

  next(event: MeshEvent, traceIdDefault: string): string {
    this.#count = (this.#count + 1) >>> 0;
    const parentId = this.#prefix + (this.#count || 1).toString(16).padStart(8, "0");
    const given = attributeOf(event, "traceparent");
    const [traceId, flags] = partsOf(given) ?? [traceIdDefault, "00"];
    return `00-${traceId}-${parentId}-${flags}`;
  }
}

/** An invalid traceparent restarts the trace; one of a later version is read by its first 55 characters. */
function partsOf(given: unknown): [string, string] | undefined {
  if (typeof given !== "string") return undefined;
  const [, version, traceId, parentId, flags, more] = grammar.exec(given) ?? [];
  if (traceId === undefined || parentId === undefined || flags === undefined) return undefined;
  if (version === "ff" || (version === "00" && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined;
  return [traceId, flags];
}
