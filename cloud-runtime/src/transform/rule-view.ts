import {
  encodeStructured,
  eventByteSize,
  isJsonType,
  MeshError,
  type AttributeValue,
  type MeshEvent,
} from "@fleetmesh/core/base";
import { changedEvent, type EventData } from "./changed-event.ts";
import { dataOfJson } from "./event-fields.ts";
import { transformFailed } from "./transform-failed.ts";

/** Of what a rule may get and give: as the CloudEvents JSON format has it. */
type RuleObject = Readonly<Record<string, unknown>>;

/** An event as a rule that runs code sees it, the CloudEvents JSON format, and the way back. */
export class RuleView {
  readonly text: string;
  readonly #event: MeshEvent;
  #given: RuleObject | undefined;

  constructor(event: MeshEvent) {
    this.#event = event;
    const bytes = encodeStructured(event);
    this.text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  }

  /** A new object each time: a rule may write into it. */
  parse(): RuleObject {
    return JSON.parse(this.text) as RuleObject;
  }

  /** Null and nothing are no event, a list several; anything else is one. Throws TRANSFORM_FAILED. */
  events(result: unknown): MeshEvent[] {
    if (result === null || result === undefined) return [];
    const list: readonly unknown[] = Array.isArray(result) ? result : [result];
    return list.map((one) => this.#eventOf(one));
  }

  #eventOf(result: unknown): MeshEvent {
    if (typeof result !== "object" || result === null || Array.isArray(result))
      throw transformFailed(
        "result",
        `The rule gave ${kindOf(result)}; it must give an event, a list of events, or null for none`,
      );
    const { data, data_base64: base64, ...rest } = result as RuleObject;
    const attributes = Object.entries(rest).flatMap(([name, value]) => attribute(name, value));
    if (!("id" in rest)) attributes.push(["id", this.#event.id]);
    return changedEvent(attributes, this.#dataOf({ data, base64 }, rest["datacontenttype"]));
  }

  #dataOf(made: { data: unknown; base64: unknown }, type: unknown): EventData {
    const { data, dataKind } = this.#event;
    if (this.#isSame(made, type)) return { data, dataKind };
    if (made.base64 !== undefined) return binaryOf(made.base64, made.data);
    if (made.data === undefined) return { data: undefined, dataKind: "binary" };
    return dataOfJson(JSON.stringify(made.data), typeof type === "string" ? type : undefined);
  }

  /** Data that come back as they were given keep their bytes, with numbers that no program could hold. */
  #isSame({ data, base64 }: { data: unknown; base64: unknown }, type: unknown): boolean {
    const given = (this.#given ??= this.parse());
    const isSameType = isJson(type) === isJson(given["datacontenttype"]);
    return (
      isSameType &&
      given["data_base64"] === base64 &&
      JSON.stringify(given["data"]) === JSON.stringify(data)
    );
  }
}

/** Throws TRANSFORM_FAILED when one event became too many or too large ones. */
export function assertBounded(
  events: readonly MeshEvent[],
  { outputsMax, maxEventBytes }: { readonly outputsMax: number; readonly maxEventBytes: number },
): void {
  if (events.length > outputsMax)
    throw transformFailed("result", `It makes ${events.length} events; ${outputsMax} are allowed`);
  let total = 0;
  for (const event of events) {
    const size = eventByteSize(event);
    total += size;
    if (size > maxEventBytes || total > 4 * maxEventBytes)
      throw transformFailed(
        "result",
        `It makes more than one event may have (${maxEventBytes} bytes), or four times that in all`,
      );
  }
}

/** What a rule threw, as a failure. */
export function ruleError(thrown: unknown): MeshError {
  if (MeshError.is(thrown)) return thrown;
  // Too deep, too long or too large.
  if (thrown instanceof RangeError && /call stack|length|allocation/.test(thrown.message))
    return transformFailed("memory", `The rule takes too much memory: ${thrown.message}`);
  const text =
    typeof thrown === "object" && thrown !== null && "message" in thrown
      ? String(thrown.message)
      : String(thrown);
  return transformFailed("error", text);
}

function attribute(name: string, value: unknown): (readonly [string, AttributeValue])[] {
  if (value === null || value === undefined) return [];
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return [[name, value]];
  throw transformFailed(
    "result",
    `The attribute ${JSON.stringify(name.slice(0, 60))} is ${kindOf(value)}`,
  );
}

function binaryOf(base64: unknown, data: unknown): EventData {
  const bytes = typeof base64 === "string" ? Buffer.from(base64, "base64") : undefined;
  if (bytes?.toString("base64") !== base64 || data !== undefined)
    throw transformFailed("result", "data_base64 must be base64 with padding, and excludes data");
  return { data: bytes, dataKind: "binary" };
}

function isJson(type: unknown): boolean {
  return typeof type !== "string" || isJsonType(type);
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
