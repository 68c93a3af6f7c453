import { MeshError } from "../error/mesh-error.ts";
import type { TextCache } from "./text-cache.ts";

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const zero = 0x30;
const nine = 0x39;

/** What a byte means inside a JSON string. */
const plain = 0;
const special = 1;
const notAscii = 2;
const stringBytes = new Uint8Array(256).fill(special, 0, 0x20).fill(notAscii, 0x7f);
stringBytes[quote] = special;
stringBytes[backslash] = special;

const escapable = new Uint8Array(256);
for (const character of '"\\/bfnrtu') escapable[character.charCodeAt(0)] = 1;
const literals = new Map(
  ["true", "false", "null"].map((text) => [text.charCodeAt(0), Buffer.from(text)]),
);

export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Walks JSON text (RFC 8259) as bytes and checks every byte of it on the way, so that spans may be cut out and embedded
 * elsewhere as they are. Faster than JSON.parse plus a search for the spans. The caller has checked that it is UTF-8.
 * Every fault is EVENT_INVALID with the byte's position.
 */
export class JsonScanner {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at = 0;
  #isPlain = true;
  /** The closing byte of each container that is open: depth costs no stack. */
  readonly #open: number[] = [];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#end = bytes.length;
  }

  get at(): number {
    return this.#at;
  }

  /** Whether the string read last was printable ASCII without escapes. */
  get isPlain(): boolean {
    return this.#isPlain;
  }

  /** The next byte that is not white space, without taking it; -1 at the end. */
  peek(): number {
    this.#skipSpace();
    return this.#at < this.#end ? (this.#bytes[this.#at] as number) : -1;
  }

  expect(byte: number): void {
    this.#skipSpace();
    if (this.#bytes[this.#at] !== byte) throw this.#fault();
    this.#at += 1;
  }

  /** After an opening byte or a value: true when another member follows, false when the container was closed. */
  hasMore(closing: number, isFirst: boolean): boolean {
    this.#skipSpace();
    const byte = this.#bytes[this.#at];
    if (byte === closing) {
      this.#at += 1;
      return false;
    }
    if (isFirst) return true;
    if (byte !== comma) throw this.#fault();
    this.#at += 1;
    return true;
  }

  /** The value of a string; with a cache where the same strings are likely to come again. */
  readString(cache?: TextCache): string {
    this.expect(quote);
    const start = this.#at;
    const isEscaped = this.#skipStringRest();
    if (this.#isPlain)
      return cache === undefined
        ? this.#bytes.toString("latin1", start, this.#at - 1)
        : cache.textOf(this.#bytes, start, this.#at - 1);
    if (!isEscaped) return this.#bytes.toString("utf8", start, this.#at - 1);
    return JSON.parse(this.#bytes.toString("utf8", start - 1, this.#at)) as string;
  }

  readName(cache?: TextCache): string {
    const name = this.readString(cache);
    this.expect(colon);
    return name;
  }

  /** The text of a number, literal or other value, as it is written. */
  readRaw(): string {
    const { start, end } = this.skipValue();
    return this.#bytes.toString("latin1", start, end);
  }

  /** One value of any depth; its span excludes the white space around it. */
  skipValue(): Span {
    this.#skipSpace();
    const start = this.#at;
    do this.#descend();
    while (this.#ascend());
    return { start, end: this.#at };
  }

  /** Throws unless nothing but white space is left. */
  assertEnd(): void {
    this.#skipSpace();
    if (this.#at < this.#end) throw this.#fault();
  }

  /** Takes opening bytes up to and including the next value that is complete in itself. */
  #descend(): void {
    for (;;) {
      this.#skipSpace();
      const byte = this.#bytes[this.#at];
      if (byte !== openBrace && byte !== openBracket) {
        this.#skipScalar(byte);
        return;
      }
      this.#at += 1;
      const closing = byte + 2;
      if (this.peek() === closing) {
        this.#at += 1;
        return;
      }
      this.#open.push(closing);
      if (closing === closeBrace) this.#skipName();
    }
  }

  /** After a value: closes what ends here. True when another value follows, false when all is closed. */
  #ascend(): boolean {
    const open = this.#open;
    while (open.length > 0) {
      const closing = open[open.length - 1];
      this.#skipSpace();
      const byte = this.#bytes[this.#at];
      if (byte !== comma && byte !== closing) throw this.#fault();
      this.#at += 1;
      if (byte === comma) {
        if (closing === closeBrace) this.#skipName();
        return true;
      }
      open.pop();
    }
    return false;
  }

  #skipName(): void {
    this.expect(quote);
    this.#skipStringRest();
    this.expect(colon);
  }

  #skipScalar(byte: number | undefined): void {
    if (byte === quote) {
      this.#at += 1;
      this.#skipStringRest();
    } else if (byte === 0x2d || isDigit(byte)) {
      this.#skipNumber();
    } else {
      this.#skipLiteral(byte);
    }
  }

  /** From behind the opening quote to behind the closing one; true when there were escapes. */
  #skipStringRest(): boolean {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#at;
    let isEscaped = false;
    let seen = plain;
    for (; at < end; at += 1) {
      const byte = bytes[at] as number;
      const meaning = stringBytes[byte] as number;
      if (meaning === plain) continue;
      if (meaning === notAscii) {
        seen = notAscii;
      } else if (byte === quote) {
        this.#at = at + 1;
        this.#isPlain = seen === plain && !isEscaped;
        return isEscaped;
      } else {
        at = this.#escapeEnd(at);
        isEscaped = true;
      }
    }
    this.#at = at;
    throw this.#fault();
  }

  /** The last byte of the escape that starts here. */
  #escapeEnd(at: number): number {
    this.#at = at;
    if (this.#bytes[at] !== backslash) throw this.#fault();
    const letter = this.#bytes[at + 1] ?? 0;
    if (escapable[letter] !== 1) throw this.#fault();
    if (letter !== 0x75) return at + 1;
    for (let digit = at + 2; digit < at + 6; digit += 1)
      if (!isHex(this.#bytes[digit])) throw this.#fault();
    return at + 5;
  }

  #skipNumber(): void {
    if (this.#bytes[this.#at] === 0x2d) this.#at += 1;
    if (this.#bytes[this.#at] === zero) this.#at += 1;
    else this.#skipDigits();
    if (this.#bytes[this.#at] === 0x2e) {
      this.#at += 1;
      this.#skipDigits();
    }
    const exponent = this.#bytes[this.#at];
    if (exponent !== 0x65 && exponent !== 0x45) return;
    this.#at += 1;
    const sign = this.#bytes[this.#at];
    if (sign === 0x2b || sign === 0x2d) this.#at += 1;
    this.#skipDigits();
  }

  #skipDigits(): void {
    const start = this.#at;
    while (isDigit(this.#bytes[this.#at])) this.#at += 1;
    if (this.#at === start) throw this.#fault();
  }

  #skipLiteral(byte: number | undefined): void {
    const literal = literals.get(byte ?? 0);
    if (literal === undefined) throw this.#fault();
    for (const expected of literal) {
      if (this.#bytes[this.#at] !== expected) throw this.#fault();
      this.#at += 1;
    }
  }

  #skipSpace(): void {
    const bytes = this.#bytes;
    let at = this.#at;
    for (; at < this.#end; at += 1) {
      const byte = bytes[at] as number;
      if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) break;
    }
    this.#at = at;
  }

  #fault(): MeshError {
    const where = this.#at >= this.#end ? "it ends too early" : `byte ${this.#at} is wrong`;
    return new MeshError("EVENT_INVALID", `The event is not valid JSON: ${where}`);
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= nine;
}

function isHex(byte: number | undefined): boolean {
  return isDigit(byte) || (byte !== undefined && (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}
