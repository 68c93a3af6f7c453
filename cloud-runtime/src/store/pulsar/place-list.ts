import { ByteReader, ByteWriter } from "@fleetmesh/core";
import { compareMessageIds, type MessageId } from "@fleetmesh/pulsar";
import { ChunkedList } from "./chunked-list.ts";
import { readPlace, writePlace } from "./message-place.ts";

/** Places of messages in the order of their topic, kept in the state in chunks. */
export class PlaceList {
  readonly #list: ChunkedList<MessageId>;

  constructor(onChanged: (chunk: number) => void) {
    this.#list = new ChunkedList({ codec: { encode, decode }, chunkSize: 256, onChanged });
  }

  get all(): readonly MessageId[] {
    return this.#list.items;
  }

  get next(): number {
    return this.#list.next;
  }

  add(id: MessageId): void {
    this.#list.push(id);
  }

  has(id: MessageId): boolean {
    const at = this.#countThrough(id) - 1;
    const found = this.#list.items[at];
    return found !== undefined && compareMessageIds(found, id) === 0;
  }

  trimThrough(id: MessageId): void {
    this.#list.drop(this.#countThrough(id));
  }

  /** Keeps the newest. */
  keep(countMax: number): void {
    this.#list.drop(this.#list.items.length - countMax);
  }

  encode(chunk: number): Uint8Array | undefined {
    return this.#list.encode(chunk);
  }

  restore(chunk: number, value: Uint8Array | undefined): void {
    this.#list.restore(chunk, value);
  }

  finishRestore(next: number): void {
    this.#list.finishRestore(next);
  }

  /** How many lie up to this place. */
  #countThrough(id: MessageId): number {
    const ids = this.#list.items;
    let [low, high] = [0, ids.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareMessageIds(ids[middle] as MessageId, id) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function encode(ids: readonly MessageId[]): Uint8Array {
  const out = new ByteWriter(1_024);
  for (const id of ids) writePlace(out, id);
  return out.take();
}

function decode(value: Uint8Array): MessageId[] {
  const ids: MessageId[] = [];
  const input = new ByteReader(value);
  while (input.remaining > 0) ids.push(readPlace(input));
  return ids;
}
