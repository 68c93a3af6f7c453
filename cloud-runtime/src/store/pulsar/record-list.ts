import type { DeliveryRecord } from "../delivery-store.ts";
import { decodeRecords, encodeRecords } from "./record-chunk.ts";
import { textPrint } from "./text-print.ts";

export interface RecordBounds {
  /** Delivery records kept, about. */
  readonly recordsMax: number;
  /** Older ones go. */
  readonly recordMs: number;
}

interface Chunk {
  readonly number: number;
  readonly prints: Uint32Array;
  readonly newestMs: number;
  readonly value: Uint8Array;
}

const chunkSize = 128;

/**
 * What became of events, for the trace: the newest so many, encoded in chunks (`e`) in memory as in the state log. What a deleted
 * subscription had is void by a mark (`f`) until the chunks before it are gone: to write all of them again would be far more.
 */
export class RecordList {
  readonly #bounds: RecordBounds;
  readonly #onChanged: (key: string) => void;
  readonly #chunks = new Map<number, Chunk>();
  /** The first chunk in which a subscription of this name counts. */
  readonly #marks = new Map<string, number>();
  /** The last chunk with records of it. */
  readonly #owners = new Map<string, number>();
  #open: DeliveryRecord[] = [];
  #next = 0;
  #count = 0;

  constructor(bounds: RecordBounds, onChanged: (key: string) => void) {
    this.#bounds = bounds;
    this.#onChanged = onChanged;
  }

  add(records: readonly DeliveryRecord[]): void {
    for (let from = 0; from < records.length;) {
      if (this.#open.length >= chunkSize) this.#close();
      const taken = records.slice(from, from + chunkSize - this.#open.length);
      this.#open.push(...taken);
      from += taken.length;
      this.#put(this.#next, this.#open);
      this.#onChanged(`e\n${this.#next}`);
    }
  }

  find(topic: string, position: string): DeliveryRecord[] {
    const print = textPrint(`${topic}\n${position}`);
    const found: DeliveryRecord[] = [];
    for (const { number, prints, value } of this.#chunks.values()) {
      if (!prints.includes(print)) continue;
      for (const record of decodeRecords(value)) {
        const isIt = record.topic === topic && record.position === position;
        if (isIt && number >= (this.#marks.get(record.subscription) ?? 0)) found.push(record);
      }
    }
    return found;
  }

  forget(subscription: string): void {
    if (!this.#owners.delete(subscription)) return;
    this.#close();
    this.#marks.set(subscription, this.#next);
    this.#onChanged(`f\n${subscription}`);
  }

  /** Lets go of what is beyond the bounds. */
  trim(nowMs: number): void {
    const { recordsMax, recordMs } = this.#bounds;
    let isTrimmed = false;
    for (const { number, prints, newestMs } of this.#chunks.values()) {
      if (this.#count <= recordsMax && newestMs >= nowMs - recordMs) break;
      if (number === this.#next) break;
      this.#chunks.delete(number);
      this.#count -= prints.length;
      this.#onChanged(`e\n${number}`);
      isTrimmed = true;
    }
    if (isTrimmed) this.#trimMarks();
  }

  valueOf(key: string): Uint8Array | undefined {
    const [kind, name = ""] = key.split("\n", 2);
    if (kind === "e") return this.#chunks.get(Number(name))?.value;
    const mark = this.#marks.get(name);
    return mark === undefined ? undefined : Buffer.from(String(mark));
  }

  restore(key: string, value: Uint8Array | undefined): void {
    const [kind, name = ""] = key.split("\n", 2);
    if (kind === "e" && value) this.#put(Number(name), decodeRecords(value));
    else if (kind === "e") this.#chunks.delete(Number(name));
    else if (value) this.#marks.set(name, Number(Buffer.from(value).toString()));
    else this.#marks.delete(name);
  }

  finishRestore(): void {
    const chunks = [...this.#chunks.values()].sort((left, right) => left.number - right.number);
    this.#chunks.clear();
    this.#owners.clear();
    this.#count = 0;
    for (const { number, value } of chunks) this.#put(number, decodeRecords(value));
    const numbers = [...this.#chunks.keys(), ...[...this.#marks.values()].map((mark) => mark - 1)];
    this.#next = Math.max(-1, ...numbers) + 1;
    for (const [name, mark] of this.#marks)
      if ((this.#owners.get(name) ?? mark) < mark) this.#owners.delete(name);
  }

  #close(): void {
    if (this.#open.length === 0) return;
    this.#open = [];
    this.#next += 1;
  }

  #put(number: number, records: readonly DeliveryRecord[]): void {
    const prints = new Uint32Array(records.length);
    let newestMs = 0;
    for (const [at, { topic, position, subscription, atMs }] of records.entries()) {
      prints[at] = textPrint(`${topic}\n${position}`);
      newestMs = Math.max(newestMs, atMs);
      this.#owners.set(subscription, number);
    }
    this.#count += records.length - (this.#chunks.get(number)?.prints.length ?? 0);
    this.#chunks.set(number, { number, prints, newestMs, value: encodeRecords(records) });
  }

  #trimMarks(): void {
    const [first = this.#next] = this.#chunks.keys();
    for (const [name, mark] of this.#marks) {
      if (mark > first) continue;
      this.#marks.delete(name);
      this.#onChanged(`f\n${name}`);
    }
    for (const [name, number] of this.#owners) if (number < first) this.#owners.delete(name);
  }
}
