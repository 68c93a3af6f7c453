import type { MeshEvent } from "@fleetmesh/core";
import { FilterFault } from "./filter-fault.ts";

const dataBytesMax = 1024 * 1024;
const depthMax = 64;
const stepCountMax = 200_000;
const quote = 0x22;
const backslash = 0x5c;

/**
 * An event's data as a parsed JSON value, for as long as the event is being matched: read when first asked for, once for all
 * filters. The event's bytes stay as they are.
 */
export class JsonView {
  readonly #event: MeshEvent;
  #isRead = false;
  #value: unknown;
  #fault: FilterFault | undefined;
  #stepsLeft = stepCountMax;

  constructor(event: MeshEvent) {
    this.#event = event;
  }

  /**
   * Undefined when the event has no data. Throws FilterFault, always the same one, when the data is not JSON, larger than
   * 1 MiB or nested deeper than 64 levels.
   */
  get value(): unknown {
    if (!this.#isRead) this.#read();
    if (this.#fault !== undefined) throw this.#fault;
    return this.#value;
  }

  /** Why there is no value; undefined when there is one, or no data. */
  get fault(): FilterFault | undefined {
    if (!this.#isRead) this.#read();
    return this.#fault;
  }

  /** One filter may take so many steps over one event; the next begins anew. */
  renew(): void {
    this.#stepsLeft = stepCountMax;
  }

  /** Throws FilterFault when a filter takes more steps than it may. */
  spend(stepCount: number): void {
    this.#stepsLeft -= stepCount;
    if (this.#stepsLeft < 0)
      throw new FilterFault(`the filter takes more than ${stepCountMax} comparisons`);
  }

  #read(): void {
    this.#isRead = true;
    const { data, dataKind } = this.#event;
    if (data === undefined) return;
    try {
      if (dataKind !== "json") throw new FilterFault("the event's data is not JSON");
      this.#value = parse(data);
    } catch (error) {
      this.#fault =
        error instanceof FilterFault
          ? error
          : new FilterFault("the event's data is not valid JSON");
    }
  }
}

function parse(data: Uint8Array): unknown {
  if (data.length > dataBytesMax)
    throw new FilterFault(`the event's data is larger than ${dataBytesMax} bytes`);
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const text = bytes.toString("utf8");
  if (mayBeDeep(text) && depthOf(bytes) > depthMax)
    throw new FilterFault(`the event's data is nested deeper than ${depthMax} levels`);
  return JSON.parse(text);
}

/** Most data has too few brackets for a closer look. */
function mayBeDeep(text: string): boolean {
  return hasMore(text, "[", depthMax / 2) || hasMore(text, "{", depthMax / 2);
}

function hasMore(text: string, character: string, count: number): boolean {
  let at = -1;
  for (let left = count; left >= 0; left -= 1) {
    at = text.indexOf(character, at + 1);
    if (at === -1) return false;
  }
  return true;
}

/** Of brackets outside strings: it costs no stack. */
function depthOf(bytes: Buffer): number {
  let [depth, deepest] = [0, 0];
  let isText = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    if (isText) {
      if (byte === backslash) at += 1;
      else if (byte === quote) isText = false;
    } else if (byte === quote) isText = true;
    // `[` and `{` differ in one bit only, and so do `]` and `}`.
    else if ((byte | 0x20) === 0x7b) deepest = Math.max(deepest, (depth += 1));
    else if ((byte | 0x20) === 0x7d) depth -= 1;
  }
  return deepest;
}
