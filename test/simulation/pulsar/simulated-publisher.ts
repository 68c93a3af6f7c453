import { MeshError, type MeshEvent } from "@fleetmesh/core";
import { sampleEvent } from "../../contract/event-samples.ts";
import type { PulsarWorld } from "./pulsar-world.ts";

/** A publisher without an agent: sends each group until it is taken, and some of them once more. */
export class SimulatedPublisher {
  readonly topic: string;
  readonly taken: string[] = [];
  readonly #world: PulsarWorld;
  readonly #name: string;
  #made = 0;
  #inHand = 0;

  constructor(world: PulsarWorld, name: string, topic: string) {
    this.#world = world;
    this.#name = name;
    this.topic = topic;
  }

  get isDone(): boolean {
    return this.#inHand === 0;
  }

  publish(count: number): void {
    const events = Array.from({ length: count }, () => {
      this.#made += 1;
      return sampleEvent(`${this.#name}-${this.#made}`, { source: `/${this.#name}` });
    });
    void this.#untilTaken(events);
  }

  async #untilTaken(events: readonly MeshEvent[]): Promise<void> {
    this.#inHand += 1;
    while (!(await this.#attempt(events)))
      await new Promise<void>((resolve) => this.#world.clock.setTimer(150, resolve));
    for (const { id } of events) this.taken.push(id);
    this.#inHand -= 1;
    if (!this.#world.is(0.3)) return;
    this.#inHand += 1;
    const again = await this.#again(events);
    if (again !== undefined && again > 0)
      throw new Error(`${this.#name}: ${again} events were stored a second time`);
    this.#inHand -= 1;
  }

  async #attempt(events: readonly MeshEvent[]): Promise<boolean> {
    return (await this.#again(events)) !== undefined;
  }

  async #again(events: readonly MeshEvent[]): Promise<number | undefined> {
    try {
      const append = { topic: this.topic, receivedMs: 1, events };
      return (await this.#world.store.appendDirect(append)).stored;
    } catch (error) {
      if (MeshError.is(error) && error.retryable) return undefined;
      throw error;
    }
  }
}
