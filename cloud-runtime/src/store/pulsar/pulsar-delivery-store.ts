import type {
  Cursor,
  DeadLetter,
  DeadLetterQuery,
  DeliveryCommit,
  DeliveryRecord,
  DeliveryStore,
  PendingRetry,
  SettledDeadLetters,
} from "../delivery-store.ts";
import type { LetterGroup } from "./dead-letter-index.ts";
import type { EngineSession } from "./engine-session.ts";
import type { Tenure } from "./tenure.ts";

/** The dispatcher's memory on Pulsar: in topics of its own, beside the events and under the same fence. */
export class PulsarDeliveryStore implements DeliveryStore {
  readonly name = "delivery store (pulsar)";
  readonly #session: EngineSession;

  readonly #tenure: Tenure;

  constructor(session: EngineSession, tenure: Tenure) {
    this.#session = session;
    this.#tenure = tenure;
  }

  start(): Promise<void> {
    return this.#session.start();
  }

  stop(deadline: AbortSignal): Promise<void> {
    return this.#session.stop(deadline);
  }

  commit(commit: DeliveryCommit): Promise<void> {
    return this.#session.ask(({ deliveries }) => deliveries.commit(commit));
  }

  cursors(subscription: string): Promise<Cursor[]> {
    return this.#session.ask(({ deliveries }) => deliveries.state.cursors.cursors(subscription));
  }

  retries(subscription: string): Promise<PendingRetry[]> {
    return this.#session.ask(({ deliveries }) => deliveries.state.cursors.retries(subscription));
  }

  forget(subscription: string): Promise<void> {
    return this.#session.ask(({ deliveries }) => deliveries.forget(subscription));
  }

  deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]> {
    return this.#session.ask(({ deliveries }) => deliveries.deadLetters(query));
  }

  deadLetterGroups(): Promise<LetterGroup[]> {
    return this.#session.ask(({ deliveries }) => deliveries.state.letters.groups());
  }

  settleDeadLetters(ids: readonly string[], outcome: "redriven" | "discarded"): Promise<number> {
    return this.#session.ask(({ deliveries }) => deliveries.settle(ids, outcome));
  }

  records(topic: string, position: string): Promise<DeliveryRecord[]> {
    return this.#session.ask(({ deliveries }) => deliveries.state.records.find(topic, position));
  }

  onInterrupted(listener: () => void): () => void {
    return this.#tenure.onInterrupted(listener);
  }

  settledDeadLetters(): Promise<SettledDeadLetters[]> {
    return this.#session.ask(({ deliveries }) => deliveries.state.cursors.settled());
  }
}
