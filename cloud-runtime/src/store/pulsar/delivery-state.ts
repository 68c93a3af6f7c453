import type { DeadLetter, DeliveryCommit } from "../delivery-store.ts";
import { CursorTable } from "./cursor-table.ts";
import { DeadLetterIndex } from "./dead-letter-index.ts";
import { nameOf } from "./dead-letter-message.ts";
import type { IndexedLetter } from "./letter-chunk.ts";
import { RecordList, type RecordBounds } from "./record-list.ts";
import type { SettledLetters } from "./settled-letters.ts";
import type { StateRecord } from "./state-message.ts";

export interface DeliveryStateOptions {
  readonly bounds: RecordBounds;
  readonly settledLetters: SettledLetters;
}

export type LetterPlace = Pick<IndexedLetter, "segment" | "place">;

/** What the dispatcher must not forget, as the state log has it or is about to. Kept by key; see the parts for theirs. */
export class DeliveryState {
  readonly cursors: CursorTable;
  readonly letters: DeadLetterIndex;
  readonly records: RecordList;
  readonly #dirty = new Set<string>();

  constructor({ bounds, settledLetters }: DeliveryStateOptions) {
    const onChanged = (key: string): void => void this.#dirty.add(key);
    this.cursors = new CursorTable(onChanged);
    this.records = new RecordList(bounds, onChanged);
    this.letters = new DeadLetterIndex(settledLetters, onChanged);
  }

  /** Where the dead letters are that were new. `placeOf` tells where a letter's message is. */
  commit(
    commit: DeliveryCommit,
    placeOf: (letter: DeadLetter) => LetterPlace | undefined,
  ): LetterPlace[] {
    const added: LetterPlace[] = [];
    for (const cursor of commit.cursors) this.cursors.putCursor(cursor);
    for (const retry of commit.retries) this.cursors.putRetry(retry);
    for (const retry of commit.retriesDone) this.cursors.removeRetry(retry);
    for (const letter of commit.deadLetters) {
      // A commit whose answer was lost is made again: the same dead letter is one, even when it was settled meanwhile.
      const place = this.letters.has(letter.id) ? undefined : placeOf(letter);
      if (!place) continue;
      this.letters.add(nameOf(letter), place);
      added.push(place);
    }
    this.records.add(commit.records);
    return added;
  }

  forget(subscription: string): void {
    this.cursors.forget(subscription);
    this.records.forget(subscription);
  }

  /** Those that were there. */
  settle(ids: readonly string[], outcome: "redriven" | "discarded"): IndexedLetter[] {
    const settled: IndexedLetter[] = [];
    for (const id of ids) {
      const letter = this.letters.settle(id);
      if (!letter) continue;
      this.cursors.countSettled(letter.subscription, outcome);
      settled.push(letter);
    }
    return settled;
  }

  takeChanges(): StateRecord[] {
    const changes = [...this.#dirty].map((key) => ({ key, value: this.valueOf(key) }));
    this.#dirty.clear();
    return changes;
  }

  valueOf(key: string): Uint8Array | undefined {
    const kind = key.slice(0, 2);
    if (kind === "d\n") return this.letters.valueOf(key);
    if (kind === "e\n" || kind === "f\n") return this.records.valueOf(key);
    return this.cursors.valueOf(key);
  }

  restore({ key, value }: StateRecord): void {
    const kind = key.slice(0, 2);
    if (kind === "d\n") this.letters.restore(key, value);
    else if (kind === "e\n" || kind === "f\n") this.records.restore(key, value);
    else this.cursors.restore(key, value);
  }

  finishRestore(): void {
    this.records.finishRestore();
    this.letters.finishRestore();
    this.#dirty.clear();
  }
}
