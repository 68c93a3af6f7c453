import type { Chance } from "@fleetmesh/core";
import type { MemoryBroker, MessageId } from "@fleetmesh/pulsar";

export interface ReplicationOptions {
  readonly from: { readonly cluster: string; readonly broker: MemoryBroker };
  readonly to: { readonly cluster: string; readonly broker: MemoryBroker };
  readonly chance: Chance;
}

const beforeAll: MessageId = { ledger: -1, entry: -1, batch: -1 };

/**
 * One cluster's replicator to another: every topic in its order, what says that it may go there and did not come from elsewhere.
 * It stops, begins again some messages back, and drops messages in silence.
 */
export class SimulatedReplication {
  readonly #options: ReplicationOptions;
  readonly #places = new Map<string, MessageId>();
  dropProbability = 0;
  dropped = 0;
  isStopped = false;

  constructor(options: ReplicationOptions) {
    this.#options = options;
  }

  pump(): void {
    const { from, to } = this.#options;
    if (this.isStopped || from.broker.isDown || to.broker.isDown) return;
    for (const topic of from.broker.logs.keys()) this.#pumpTopic(topic);
  }

  /** As after a broker's crash: it has forgotten how far it was. */
  rewind(countMax: number): void {
    for (const [topic, place] of this.#places) {
      const log = this.#options.from.broker.ensureLog(topic);
      const at = log.indexAfter(place) - 1 - Math.floor(this.#options.chance.float() * countMax);
      this.#places.set(topic, log.messages[at]?.id ?? beforeAll);
    }
  }

  #pumpTopic(topic: string): void {
    const { from, to, chance } = this.#options;
    const log = from.broker.ensureLog(topic);
    const target = to.broker.ensureLog(topic);
    let at = log.indexAfter(this.#places.get(topic) ?? beforeAll);
    for (; at < log.messages.length; at += 1) {
      const message = log.messages[at];
      if (!message) break;
      this.#places.set(topic, message.id);
      const isFor = message.replicateTo === undefined || message.replicateTo.includes(to.cluster);
      if (!isFor || message.replicatedFrom !== undefined) continue;
      if (chance.float() < this.dropProbability) {
        this.dropped += 1;
        continue;
      }
      const { payload, properties, key } = message;
      const copy = { payload, properties, key, replicatedFrom: from.cluster };
      // A replicator keeps the time of the first publisher.
      target.append([copy], message.publishedMs);
    }
  }
}
