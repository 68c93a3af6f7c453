import { MeshError, type BlockEntry } from "@fleetmesh/core";
import type { AgentAppend, AgentRun } from "@fleetmesh/cloud-runtime";
import { sampleEntry, sampleEvent } from "../../contract/event-samples.ts";
import { topics, type PulsarWorld } from "./pulsar-world.ts";

const pipelineMax = 4;
const batchMax = 8;

/** What a sequence of an agent is, fixed by its number: a resend is the same, in whatever batches it comes. */
export function fateOf(sequence: number): "event" | "rejected" | "evicted" {
  if (sequence % 23 === 0) return "rejected";
  return sequence % 17 === 0 ? "evicted" : "event";
}

/** An agent that numbers its events, sends several batches at a time and rewinds to the region's watermark after a failure. */
export class SimulatedAgent {
  readonly agentId: string;
  readonly epoch = "00000000000000aa";
  readonly eventClass = "normal";
  readonly #world: PulsarWorld;
  /** Up to here the region has answered: an agent deletes what it is told is stored. */
  acknowledged = 0;
  #made = 0;
  #sent = 0;
  #inHand = 0;
  #isResyncing = false;

  constructor(world: PulsarWorld, agentId: string) {
    this.#world = world;
    this.agentId = agentId;
  }

  get made(): number {
    return this.#made;
  }

  get isDone(): boolean {
    return this.acknowledged === this.#made && this.#inHand === 0;
  }

  topicOf(sequence: number): string {
    return topics[(sequence + this.agentId.length) % topics.length] ?? topics[0];
  }

  make(count: number): void {
    this.#made += count;
  }

  /** Sends what may be sent now; never waits. */
  pump(): void {
    while (!this.#isResyncing && this.#inHand < pipelineMax && this.#sent < this.#made) {
      const first = this.#sent + 1;
      const last = Math.min(this.#made, first + this.#world.below(batchMax));
      this.#sent = last;
      void this.#send(this.#batch(first, last));
    }
  }

  async #send(append: AgentAppend): Promise<void> {
    this.#inHand += 1;
    try {
      const { outcome, watermark } = await this.#world.store.appendFromAgent(append);
      this.acknowledged = Math.max(this.acknowledged, watermark.sequence);
      if (outcome === "ahead") await this.#resync();
    } catch (error) {
      if (!MeshError.is(error) || !error.retryable) throw error;
      await this.#resync();
    } finally {
      this.#inHand -= 1;
    }
  }

  /** What an agent does on a new connection. */
  async #resync(): Promise<void> {
    if (this.#isResyncing) return;
    this.#isResyncing = true;
    for (;;) {
      await new Promise<void>((resolve) => this.#world.clock.setTimer(100, resolve));
      try {
        const known = await this.#world.store.watermarks(this.agentId, this.epoch);
        const sequence = known.normal?.sequence ?? 0;
        if (sequence < this.acknowledged)
          throw new Error(
            `${this.agentId}: ${this.acknowledged} was answered, ${sequence} is known`,
          );
        this.acknowledged = sequence;
        // Sometimes more is sent again than would have to be.
        this.#sent = Math.max(0, sequence - this.#world.below(3));
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
    const fate = fateOf(sequence);
    if (fate === "evicted")
      return { kind: "gap", first: sequence, last: sequence, reason: "evicted", topics: {} };
    const event = sampleEvent(`${this.agentId}-${sequence}`, { source: `/${this.agentId}` });
    const entry: BlockEntry = sampleEntry(this.topicOf(sequence), sequence, event);
    if (fate === "rejected") return { kind: "rejected", entry, code: "MESH-3003", reason: "no" };
    return { kind: "events", entries: [entry] };
  }
}
