import {
  assertAttributeName,
  assertAttributeText,
  assertCoreAttribute,
  isCoreAttribute,
} from "./attribute-rules.ts";
import {
  noExtensions,
  type AttributeValue,
  type DataKind,
  type Extension,
  type MeshEvent,
} from "./event.ts";
import { eventInvalid } from "./event-invalid.ts";

/** Above this many extensions a set finds duplicates; below, looking through them is quicker. */
const linearSearchMax = 8;

/** An event while it is read: takes attributes in any order, each checked once, refuses a second one of the same name. */
export class EventDraft {
  specversion: string | undefined = undefined;
  id: string | undefined = undefined;
  source: string | undefined = undefined;
  type: string | undefined = undefined;
  subject: string | undefined = undefined;
  time: string | undefined = undefined;
  datacontenttype: string | undefined = undefined;
  dataschema: string | undefined = undefined;
  data: Uint8Array | undefined = undefined;
  dataKind: DataKind = "binary";
  #extensions: Extension[] | undefined = undefined;
  #names: Set<string> | undefined = undefined;
  #unset: Set<string> | undefined = undefined;

  /** `isPlain` says that a text is known to be printable ASCII, which spares looking at it again. */
  set(name: string, value: AttributeValue, isPlain = false): void {
    if (!isPlain && typeof value === "string") assertAttributeText(name, value);
    if (!isCoreAttribute(name)) {
      this.#add(name, value);
      return;
    }
    if (this[name] !== undefined || this.#unset?.has(name)) throw twice(name);
    this[name] = assertCoreAttribute(name, value);
  }

  /** A JSON null: the attribute is unset, yet its name is used up. */
  unset(name: string): void {
    assertAttributeName(name);
    const isGiven = isCoreAttribute(name) && this[name] !== undefined;
    if (isGiven || this.#isKnown(name)) throw twice(name);
    this.#unset = (this.#unset ?? new Set()).add(name);
  }

  finish(): MeshEvent {
    if (this.specversion === undefined) throw missing("specversion");
    if (this.id === undefined) throw missing("id");
    if (this.source === undefined) throw missing("source");
    if (this.type === undefined) throw missing("type");
    return {
      id: this.id,
      source: this.source,
      type: this.type,
      subject: this.subject,
      time: this.time,
      datacontenttype: this.datacontenttype,
      dataschema: this.dataschema,
      extensions: this.#extensions ?? noExtensions,
      data: this.data,
      dataKind: this.dataKind,
    };
  }

  #add(name: string, value: AttributeValue): void {
    assertAttributeName(name);
    if (this.#isKnown(name)) throw twice(name);
    this.#extensions ??= [];
    this.#extensions.push([name, value]);
    if (this.#names !== undefined) this.#names.add(name);
    else if (this.#extensions.length > linearSearchMax)
      this.#names = new Set(this.#extensions.map(([key]) => key));
  }

  #isKnown(name: string): boolean {
    if (this.#unset?.has(name)) return true;
    if (this.#names !== undefined) return this.#names.has(name);
    if (this.#extensions !== undefined)
      for (const [key] of this.#extensions) if (key === name) return true;
    return false;
  }
}

function twice(name: string): Error {
  return eventInvalid(name, "is given more than once");
}

function missing(name: string): Error {
  return eventInvalid(name, "is missing");
}
