import { MeshError, type BlockEntry } from "@fleetmesh/core";
import type { AgentAppend, AgentRun } from "@fleetmesh/cloud-runtime";
import { sampleEntry, sampleEvent } from "../../contract/event-samples.ts";
import { topics, type PulsarWorld } from "./pulsar-world.ts";

const batchMax = 6;

/**
 * An agent that changes regions at any time, with batches under way: what one region has confirmed it has deleted, and tells the
 * other as lost; what no region has confirmed it sends again.
 */
export class RoamingAgent {
  readonly agentId: string;
  readonly epoch = "00000000000000bb";
  readonly eventClass = "normal";
  readonly #worlds: readonly PulsarWorld[];
  /** Up to here a region has answered. */
  #confirmed = 0;
  #made = 0;
  #sent = 0;
  #stay = 0;
  #inHand = 0;
  #isResyncing = true;

  constructor(worlds: readonly PulsarWorld[], agentId: string) {
    this.#worlds = worlds;
    this.agentId = agentId;
  }

  get isDone(): boolean {
    return this.#confirmed === this.#made && this.#inHand === 0;
  }

  made(topic: string): string[] {
    const sequences = Array.from({ length: this.#made }, (_, at) => at + 1);
    return sequences
      .filter((sequence) => topicOf(sequence) === topic)
      .map((sequence) => `${this.agentId}-${sequence}`);
  }

  make(count: number): void {
    this.#made += count;
  }

  /** To the other region: what is under way goes on without it. */
  async move(): Promise<void> {
    this.#stay += 1;
    this.#isResyncing = true;
    await this.#resync(this.#stay);
  }

  pump(): void {
    while (!this.#isResyncing && this.#inHand < 3 && this.#sent < this.#made) {
      const first = this.#sent + 1;
      this.#sent = Math.min(this.#made, first + Math.floor(this.#world.chance.float() * batchMax));
      void this.#send(this.#batch(first, this.#sent), this.#stay);
    }
  }

  get #world(): PulsarWorld {
    return this.#worlds[this.#stay % this.#worlds.length] as PulsarWorld;
  }

  async #send(append: AgentAppend, stay: number): Promise<void> {
    this.#inHand += 1;
    try {
      const { outcome, watermark } = await this.#world.store.appendFromAgent(append);
      // An answer on a connection that was left is not heard.
      if (stay !== this.#stay) return;
      this.#confirmed = Math.max(this.#confirmed, watermark.sequence);
      if (outcome === "ahead") await this.#resync(stay);
    } catch (error) {
      if (!MeshError.is(error) || !error.retryable) throw error;
      await this.#resync(stay);
    } finally {
      this.#inHand -= 1;
    }
  }

  async #resync(stay: number): Promise<void> {
    const world = this.#world;
    this.#isResyncing = true;
    while (stay === this.#stay) {
      await new Promise<void>((resolve) => world.clock.setTimer(100, resolve));
      try {
        const known = await world.store.watermarks(this.agentId, this.epoch);
        if (stay !== this.#stay) return;
        this.#sent = known.normal?.sequence ?? 0;
        this.#confirmed = Math.max(this.#confirmed, this.#sent);
        this.#isResyncing = false;
        return;
      } catch (error) {
        if (!MeshError.is(error)) throw error;
      }
    }
  }

  #batch(first: number, last: number): AgentAppend {
    const runs: AgentRun[] = [];
    for (let sequence = first; sequence <= last; sequence += 1) runs.push(this.#runOf(sequence));
    const { agentId, epoch, eventClass } = this;
    return { agentId, epoch, eventClass, first, last, runs };
  }

  #runOf(sequence: number): AgentRun {
    if (sequence <= this.#confirmed)
      return { kind: "gap", first: sequence, last: sequence, reason: "damaged", topics: {} };
    const event = sampleEvent(`${this.agentId}-${sequence}`, { source: `/${this.agentId}` });
    const entry: BlockEntry = sampleEntry(topicOf(sequence), sequence, event);
    return { kind: "events", entries: [entry] };
  }
}

function topicOf(sequence: number): string {
  return topics[sequence % topics.length] ?? topics[0];
}
