import { transformFailed } from "./transform-failed.ts";

/** A value of a JSON text by its place in it, so that what nobody changes can be copied as it is written. */
export interface JsonNode {
  readonly start: number;
  readonly end: number;
  readonly kind: "object" | "array" | "scalar";
  readonly members: readonly JsonMember[];
}

export interface JsonMember {
  /** Of an item of an array: its index. */
  readonly name: string | number;
  /** Of the name as it is written; of an item, of its value. */
  readonly start: number;
  readonly value: JsonNode;
}

const depthMax = 200;
const noMembers: readonly JsonMember[] = [];
const blank = /[ \t\n\r]*/y;
const scalar = /"(?:[^"\\]|\\.)*"|[-+.\w]+/sy;
const stringText = /"(?:[^"\\]|\\.)*"/sy;

/** The places of all values of a text that is known to be JSON. Throws TRANSFORM_FAILED when it is not, or is nested too deep. */
export function parseJsonTree(text: string): JsonNode {
  const parser = new TreeParser(text);
  const root = parser.value(0);
  parser.skipBlanks();
  if (parser.at < text.length) throw parser.fault();
  return root;
}

class TreeParser {
  at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): JsonNode {
    if (depth > depthMax)
      throw transformFailed("error", `The data are nested deeper than ${depthMax}`);
    this.skipBlanks();
    const start = this.at;
    const first = this.#text[start];
    if (first !== "{" && first !== "[") {
      this.#take(scalar);
      return { start, end: this.at, kind: "scalar", members: noMembers };
    }
    this.at += 1;
    const kind = first === "{" ? "object" : "array";
    const members = this.#members(kind, depth);
    return { start, end: this.at, kind, members };
  }

  skipBlanks(): void {
    this.#take(blank);
  }

  fault(): Error {
    return transformFailed("error", `The data are not JSON at character ${this.at}`);
  }

  #members(kind: "object" | "array", depth: number): JsonMember[] {
    const members: JsonMember[] = [];
    const closing = kind === "object" ? "}" : "]";
    this.skipBlanks();
    if (this.#skip(closing)) return members;
    for (;;) {
      this.skipBlanks();
      const start = this.at;
      const name = kind === "object" ? this.#name() : members.length;
      members.push({ name, start, value: this.value(depth + 1) });
      this.skipBlanks();
      if (this.#skip(closing)) return members;
      if (!this.#skip(",")) throw this.fault();
    }
  }

  #name(): string {
    const raw = this.#take(stringText);
    this.skipBlanks();
    if (!this.#skip(":")) throw this.fault();
    return raw.includes("\\") ? (JSON.parse(raw) as string) : raw.slice(1, -1);
  }

  #skip(character: string): boolean {
    if (this.#text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  #take(grammar: RegExp): string {
    grammar.lastIndex = this.at;
    const [found] = grammar.exec(this.#text) ?? [];
    if (found === undefined) throw this.fault();
    this.at += found.length;
    return found;
  }
}
