import { Backoff, MeshError, sleep } from "@fleetmesh/core";
import type { DeadLetter, DeadLetterQuery, DeliveryCommit } from "../delivery-store.ts";
import { DeadLetterTopics, type DeadLetterTopicsOptions } from "./dead-letter-topics.ts";
import { DeliveryState, type DeliveryStateOptions, type LetterPlace } from "./delivery-state.ts";
import type { IndexedLetter } from "./letter-chunk.ts";
import { StateLog } from "./state-log.ts";
import { retryRange, stopping, unavailable } from "./store-ports.ts";
import type { Tenure } from "./tenure.ts";

export interface DeliveryLogOptions extends DeadLetterTopicsOptions, DeliveryStateOptions {
  readonly tenure: Tenure;
  readonly compactionBytes: number | undefined;
}

type Places = ReadonlyMap<DeadLetter, LetterPlace>;

/** A change of the state that waits for its write. */
interface Change {
  readonly letters: readonly DeadLetter[];
  readonly apply: (state: DeliveryState, places: Places) => void;
  readonly resolve: () => void;
  readonly reject: (error: MeshError) => void;
}

/** What this log counts as its own in its state, behind one write. */
interface Opened {
  readonly log: StateLog;
  readonly state: DeliveryState;
}

/**
 * What the dispatcher must not forget, in the compacted topic `_mesh.deliveries`, under the store's own fence: who reads a region's
 * events is who delivers them, and nobody else may move their cursors. One write at a time takes all changes that wait. Bodies of
 * dead letters come before the write that makes them count. After a write that failed nobody knows what is stored: everything in
 * memory is thrown away and the log is read again.
 */
export class DeliveryLog {
  readonly #options: DeliveryLogOptions;
  readonly #letters: DeadLetterTopics;
  readonly #closing = new AbortController();
  #opened: Opened | undefined;
  #waiting: Change[] = [];
  #running: Promise<void> | undefined;
  #reading: Promise<void> | undefined;

  constructor(options: DeliveryLogOptions) {
    this.#options = options;
    this.#letters = new DeadLetterTopics({ ...options, name: `${options.name}-dead-letters` });
  }

  /** Throws STORE_UNAVAILABLE while the log is being read. */
  get state(): DeliveryState {
    if (this.#closing.signal.aborted) throw stopping();
    if (!this.#opened) throw unavailable("The delivery state is being read again");
    return this.#opened.state;
  }

  async open(signal: AbortSignal): Promise<void> {
    const opened = await this.#read(signal);
    await this.#letters.open(opened.state.letters.segments());
    this.#opened = opened;
  }

  commit(commit: DeliveryCommit): Promise<void> {
    return this.#submit(commit.deadLetters, (state, places) => {
      for (const { segment } of state.commit(commit, (letter) => places.get(letter)))
        this.#letters.added(segment);
      state.records.trim(this.#options.clock.wallMs());
    });
  }

  async forget(subscription: string): Promise<void> {
    await this.#submit([], (state) => state.forget(subscription));
  }

  async settle(ids: readonly string[], outcome: "redriven" | "discarded"): Promise<number> {
    let settled: IndexedLetter[] = [];
    await this.#submit([], (state) => {
      settled = state.settle(ids, outcome);
    });
    for (const { id, number } of settled) this.#options.settledLetters.add(id, number);
    this.#letters.settled(settled);
    return settled.length;
  }

  async deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]> {
    return this.#letters.read(this.state.letters.list(query));
  }

  /** Resolves when nothing waits for a write. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#opened?.log.close();
    await Promise.all([this.#running, this.#reading, this.#letters.close()]);
  }

  #submit(letters: readonly DeadLetter[], apply: Change["apply"]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#opened) throw this.#isClosing() ? stopping() : unavailable("Being read again");
      this.#waiting.push({ letters, apply, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    // What is submitted in one turn is written together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const changes = this.#waiting;
      this.#waiting = [];
      try {
        await this.#write(changes);
        for (const { resolve } of changes) resolve();
      } catch (error) {
        const why = this.#isClosing() ? stopping() : MeshError.from(error);
        for (const { reject } of changes) reject(why);
      }
    }
    // In the same turn as the look at what waits: nobody may be left between the two.
    this.#running = undefined;
  }

  async #write(changes: readonly Change[]): Promise<void> {
    const opened = this.#opened;
    if (!opened) throw unavailable("The delivery state is being read again");
    const { log, state } = opened;
    const fresh = changes.flatMap(({ letters }) =>
      letters.filter(({ id }) => !state.letters.has(id)),
    );
    const places = await this.#letters.put(fresh);
    try {
      for (const { apply } of changes) apply(state, places);
      await log.write(state.takeChanges());
    } catch (error) {
      this.#doubt(opened);
      throw error;
    }
  }

  #doubt({ log }: Opened): void {
    this.#opened = undefined;
    if (this.#isClosing()) return;
    this.#options.logger.warn("A write of the delivery state failed; it is read again.");
    this.#reading = this.#readAgain(log);
  }

  /** Never rejects: only a close ends it, as when the fence is lost, too. */
  async #readAgain(broken: StateLog): Promise<void> {
    const { clock, chance, logger } = this.#options;
    const backoff = new Backoff(retryRange, chance);
    const { signal } = this.#closing;
    await broken.close();
    while (!this.#isClosing()) {
      try {
        this.#opened = await this.#read(signal);
        return;
      } catch (error) {
        logger.debug({ err: error }, "The delivery state cannot be read yet.");
        await sleep(clock, backoff.next(), signal);
      }
    }
  }

  async #read(signal: AbortSignal): Promise<Opened> {
    const state = new DeliveryState(this.#options);
    const log = new StateLog({
      ...this.#options,
      topic: "_mesh.deliveries",
      valueOf: (key) => state.valueOf(key),
    });
    try {
      await log.open((record) => state.restore(record), signal);
    } catch (error) {
      await log.close();
      throw error;
    }
    state.finishRestore();
    this.#options.tenure.opened({ before: log.session - 1, session: log.session });
    if (this.#isClosing()) await log.close();
    return { log, state };
  }

  #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }
}
