import { ByteReader, ByteWriter } from "@fleetmesh/core";
import type { MessageId } from "@fleetmesh/pulsar";
import { readPlace, writePlace } from "./message-place.ts";
import { textPrint } from "./text-print.ts";

/** What a dead letter is listed by; the rest is in its message. */
export interface LetterName {
  readonly id: string;
  readonly subscription: string;
  readonly topic: string;
  readonly reason: string;
  readonly atMs: number;
}

export interface IndexedLetter extends LetterName {
  /** In order of age, for ever. */
  readonly number: number;
  /** Which of the topics of dead letters holds it, and where. */
  readonly segment: number;
  readonly place: MessageId;
}

export const chunkSize = 128;

/** Dead letters with numbers of one stretch, as one value of the state log, and what is asked of them often beside it. */
export class LetterChunk {
  readonly number: number;
  readonly value: Uint8Array;
  /** By slot; 0 where no letter is. */
  readonly prints = new Uint32Array(chunkSize);
  readonly groups = new Uint32Array(chunkSize);
  readonly atMs = new Float64Array(chunkSize);
  readonly count: number;

  constructor(letters: readonly IndexedLetter[], groupOf: (letter: LetterName) => number) {
    this.number = Math.floor((letters[0]?.number ?? 0) / chunkSize);
    this.value = encode(letters);
    this.count = letters.length;
    for (const letter of letters) {
      const slot = letter.number % chunkSize;
      this.prints[slot] = letterPrint(letter.id);
      this.groups[slot] = groupOf(letter);
      this.atMs[slot] = letter.atMs;
    }
  }

  letters(): IndexedLetter[] {
    return decodeLetters(this.value);
  }
}

/** Never 0. */
export function letterPrint(id: string): number {
  return textPrint(id) || 1;
}

export function decodeLetters(value: Uint8Array): IndexedLetter[] {
  const input = new ByteReader(value);
  const names: string[] = [];
  for (let left = input.varint(); left > 0; left -= 1) names.push(input.text());
  const text = (): string => names[input.varint()] ?? "";
  const letters: IndexedLetter[] = [];
  for (let left = input.varint(); left > 0; left -= 1) {
    letters.push({
      ...{ number: input.varint(), id: input.text() },
      ...{ subscription: text(), topic: text(), reason: text() },
      ...{ atMs: input.f64(), segment: input.varint(), place: readPlace(input) },
    });
  }
  return letters;
}

function encode(letters: readonly IndexedLetter[]): Uint8Array {
  const names = new Map<string, number>();
  for (const { subscription, topic, reason } of letters)
    for (const name of [subscription, topic, reason])
      if (!names.has(name)) names.set(name, names.size);
  const out = new ByteWriter(256 + 56 * letters.length);
  out.varint(names.size);
  for (const name of names.keys()) out.text(name);
  out.varint(letters.length);
  for (const { number, id, subscription, topic, reason, atMs, segment, place } of letters) {
    out.varint(number);
    out.text(id);
    for (const name of [subscription, topic, reason]) out.varint(names.get(name) ?? 0);
    out.f64(atMs);
    out.varint(segment);
    writePlace(out, place);
  }
  return out.take();
}
