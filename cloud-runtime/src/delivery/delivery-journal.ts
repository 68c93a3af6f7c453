import { MeshError, type Clock, type Timer } from "@fleetmesh/core";
import type {
  Cursor,
  DeadLetter,
  DeliveryCommit,
  DeliveryRecord,
  DeliveryStore,
  PendingRetry,
} from "../store/delivery-store.ts";

/** Something with a cursor that moved. */
export interface CursorSource {
  cursor(): Cursor;
}

type RetryChange =
  | { readonly kind: "kept"; readonly retry: PendingRetry }
  | {
      readonly kind: "done";
      readonly retry: Pick<PendingRetry, "subscription" | "topic" | "position">;
    };

const flushDelayMs = 40;
const failedFlushDelayMs = 500;
/** Settled and not yet committed: beyond it nothing more is sent, so that a crash repeats a bounded number. */
const uncommittedMax = 20_000;

/**
 * Writes what deliveries settle: cursors, retries, dead letters and records, in one commit, tens of milliseconds behind. What a
 * failed commit held goes into the next one. While commits fail, `mayDeliver` is false and the runners wait.
 */
export class DeliveryJournal {
  readonly #store: DeliveryStore;
  readonly #clock: Clock;
  readonly #onMayDeliver: () => void;
  readonly #dirty = new Set<CursorSource>();
  readonly #retries = new Map<string, RetryChange>();
  #deadLetters: DeadLetter[] = [];
  #records: DeliveryRecord[] = [];
  #timer: Timer | undefined;
  #flushing: Promise<void> | undefined;
  #failure: MeshError | undefined;
  #isStopped = false;
  #isAbandoned = false;

  constructor(store: DeliveryStore, clock: Clock, onMayDeliver: () => void) {
    this.#store = store;
    this.#clock = clock;
    this.#onMayDeliver = onMayDeliver;
  }

  get mayDeliver(): boolean {
    return !this.#isAbandoned && !this.#failure && this.#records.length < uncommittedMax;
  }

  get failure(): MeshError | undefined {
    return this.#failure;
  }

  moved(source: CursorSource): void {
    this.#dirty.add(source);
    if (!this.#timer && !this.#flushing) this.#arm(flushDelayMs);
  }

  retry(retry: PendingRetry): void {
    this.#retries.set(retryKey(retry), { kind: "kept", retry });
  }

  retryDone(retry: RetryChange["retry"]): void {
    const { subscription, topic, position } = retry;
    this.#retries.set(retryKey(retry), { kind: "done", retry: { subscription, topic, position } });
  }

  deadLetter(letter: DeadLetter): void {
    this.#deadLetters.push(letter);
  }

  record(record: DeliveryRecord): void {
    this.#records.push(record);
  }

  /** Commits everything known now. Rejects when the store refuses; it stays noted then. */
  async flush(): Promise<void> {
    await this.#flushing?.catch(() => undefined);
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#begin();
  }

  /** The last commit, then nothing more. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    try {
      await this.flush();
    } catch (error) {
      // A store that is away keeps nobody from stopping: what it does not have is delivered again, under the same identity.
      if (!MeshError.is(error) || !error.retryable) throw error;
    } finally {
      this.#isStopped = true;
      this.#timer?.cancel();
    }
  }

  /** Nothing of it may be written any more: it is about cursors that are another node's by now. */
  abandon(): void {
    this.#isStopped = true;
    this.#isAbandoned = true;
    this.#timer?.cancel();
  }

  #arm(delayMs: number): void {
    if (this.#isStopped) return;
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      // A failure is kept in `failure` and tried again by a timer of its own.
      this.#begin().catch(() => undefined);
    });
  }

  #begin(): Promise<void> {
    this.#flushing ??= this.#commit().finally(() => {
      this.#flushing = undefined;
      if (this.#hasWork() && !this.#timer)
        this.#arm(this.#failure ? failedFlushDelayMs : flushDelayMs);
    });
    return this.#flushing;
  }

  #hasWork(): boolean {
    return this.#dirty.size + this.#retries.size + this.#deadLetters.length > 0;
  }

  async #commit(): Promise<void> {
    if (this.#isAbandoned || (!this.#hasWork() && this.#records.length === 0)) return;
    const sources = [...this.#dirty];
    const retries = [...this.#retries];
    const commit = this.#snapshot(sources);
    const couldDeliver = this.mayDeliver;
    this.#dirty.clear();
    this.#retries.clear();
    [this.#deadLetters, this.#records] = [[], []];
    try {
      await this.#store.commit(commit);
      this.#failure = undefined;
      if (!couldDeliver) this.#onMayDeliver();
    } catch (error) {
      this.#failure = MeshError.from(error);
      this.#takeBack(commit, sources, retries);
      throw error;
    }
  }

  #snapshot(sources: readonly CursorSource[]): DeliveryCommit {
    const retries: PendingRetry[] = [];
    const retriesDone: RetryChange["retry"][] = [];
    for (const change of this.#retries.values()) {
      if (change.kind === "kept") retries.push(change.retry);
      else retriesDone.push(change.retry);
    }
    const cursors = sources.map((source) => source.cursor());
    return {
      cursors,
      retries,
      retriesDone,
      deadLetters: this.#deadLetters,
      records: this.#records,
    };
  }

  #takeBack(
    commit: DeliveryCommit,
    sources: readonly CursorSource[],
    retries: readonly [string, RetryChange][],
  ): void {
    for (const source of sources) this.#dirty.add(source);
    for (const [key, change] of retries)
      if (!this.#retries.has(key)) this.#retries.set(key, change);
    this.#deadLetters = [...commit.deadLetters, ...this.#deadLetters];
    this.#records = [...commit.records, ...this.#records];
  }
}

function retryKey({ subscription, topic, position }: RetryChange["retry"]): string {
  return `${subscription}\n${topic}\n${position}`;
}
