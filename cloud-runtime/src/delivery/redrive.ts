import { MeshError, type Clock, type Logger } from "@fleetmesh/core";
import type { DeadLetter, DeadLetterQuery, DeliveryStore } from "../store/delivery-store.ts";
import type { Dispatcher } from "./dispatcher.ts";

export interface RedriveOptions {
  readonly dispatcher: Dispatcher;
  readonly deliveries: DeliveryStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface DeadLetterChoice {
  readonly subscription?: string | undefined;
  readonly topic?: string | undefined;
  /** Only these; all that the other conditions leave when absent. */
  readonly ids?: readonly string[] | undefined;
  readonly isPermitted: (letter: DeadLetter) => boolean;
}

const pageCount = 50;
const chosenMax = 100_000;

/**
 * Sends dead letters again, out of order, through their subscription's window. A letter leaves the store when the target took
 * it; when it fails again, or the process dies meanwhile, it stays.
 */
export class Redrive {
  readonly #options: RedriveOptions;
  /** Letters under way: asking twice does not send twice. */
  readonly #underWay = new Set<string>();
  #jobs = Promise.resolve();

  constructor(options: RedriveOptions) {
    this.#options = options;
  }

  /** Resolves when every redrive asked for so far is over. */
  get idle(): Promise<void> {
    return this.#jobs;
  }

  /** How many will be sent; they go out in the background, oldest first. Throws SUBSCRIPTION_UNKNOWN for one that is gone. */
  async request(choice: DeadLetterChoice): Promise<number> {
    const { subscription } = choice;
    if (subscription !== undefined && !this.#options.dispatcher.runner(subscription))
      throw new MeshError("SUBSCRIPTION_UNKNOWN", `There is no subscription "${subscription}"`);
    const chosen = new Set<string>();
    for await (const page of this.#pages(choice)) {
      for (const { id, subscription: owner } of page)
        if (!this.#underWay.has(id) && this.#options.dispatcher.runner(owner)) chosen.add(id);
      if (chosen.size >= chosenMax) break;
    }
    for (const id of chosen) this.#underWay.add(id);
    this.#jobs = this.#jobs.then(() => this.#run(choice, chosen));
    return chosen.size;
  }

  /** Throws letters away for good. */
  async discard(choice: DeadLetterChoice): Promise<number> {
    let count = 0;
    for await (const page of this.#pages(choice)) {
      const ids = page.map(({ id }) => id);
      count += await this.#options.deliveries.settleDeadLetters(ids, "discarded");
    }
    return count;
  }

  async #run(choice: DeadLetterChoice, chosen: ReadonlySet<string>): Promise<void> {
    try {
      for await (const page of this.#pages(choice)) {
        const letters = page.filter(({ id }) => chosen.has(id));
        const taken = await Promise.all(letters.map((letter) => this.#send(letter)));
        const ids = letters.filter((_, at) => taken[at] === true).map(({ id }) => id);
        if (ids.length > 0) await this.#options.deliveries.settleDeadLetters(ids, "redriven");
      }
    } catch (error) {
      // What was not settled stays a dead letter and can be redriven again.
      this.#options.logger.warn({ err: error }, "Redrive ended early.");
    } finally {
      for (const id of chosen) this.#underWay.delete(id);
    }
  }

  async #send({ subscription, topic, position, origin, entry }: DeadLetter): Promise<boolean> {
    const runner = this.#options.dispatcher.runner(subscription);
    const outcome = await runner?.redrive({ position, topic, origin, entry });
    return outcome?.kind === "taken";
  }

  async *#pages(choice: DeadLetterChoice): AsyncGenerator<DeadLetter[]> {
    const { subscription, topic } = choice;
    const wanted = choice.ids === undefined ? undefined : new Set(choice.ids);
    let query: DeadLetterQuery = { subscription, topic, limit: pageCount };
    for (;;) {
      const page = await this.#options.deliveries.deadLetters(query);
      const last = page.at(-1);
      if (!last) return;
      const chosen = page.filter(
        (letter) => choice.isPermitted(letter) && (wanted?.has(letter.id) ?? true),
      );
      if (chosen.length > 0) yield chosen;
      query = { ...query, after: last.id };
    }
  }
}
