import { MeshError } from "@fleetmesh/core";
import type { Position, StoredEvent } from "@fleetmesh/cloud-runtime";
import type { PulsarWorld } from "./pulsar-world.ts";

/** Reads a topic page by page and keeps only its position, over all lives of the node, as a subscription does. */
export class SimulatedReader {
  readonly topic: string;
  readonly events: StoredEvent[] = [];
  readonly #world: PulsarWorld;
  #position: Position = "earliest";
  #isBusy = false;

  constructor(world: PulsarWorld, topic: string) {
    this.#world = world;
    this.topic = topic;
  }

  pump(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    void this.#read();
  }

  async #read(): Promise<void> {
    try {
      const limit = { countMax: 1 + this.#world.below(12), bytesMax: 4_000 };
      const page = await this.#world.store.read(this.topic, this.#position, limit);
      this.events.push(...page.events);
      this.#position = page.next;
    } catch (error) {
      if (!MeshError.is(error) || !error.retryable) throw error;
    }
    this.#isBusy = false;
  }
}
