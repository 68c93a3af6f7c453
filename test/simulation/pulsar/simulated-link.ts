import { MeshError } from "@fleetmesh/core";
import type { Position } from "@fleetmesh/cloud-runtime";
import { sampleEntry, sampleEvent } from "../../contract/event-samples.ts";
import type { PulsarWorld } from "./pulsar-world.ts";

/** The sending end of a link from another region: goes on from the cursor that the store tells. */
export class SimulatedLink {
  readonly topic: string;
  readonly #world: PulsarWorld;
  #made = 0;
  #cursor: Position | undefined;
  #isBusy = false;

  constructor(world: PulsarWorld, topic: string) {
    this.#world = world;
    this.topic = topic;
  }

  get made(): number {
    return this.#made;
  }

  get isDone(): boolean {
    return !this.#isBusy && Number(this.#cursor ?? 0) === this.#made;
  }

  make(count: number): void {
    this.#made += count;
  }

  pump(): void {
    if (this.#isBusy || this.isDone) return;
    this.#isBusy = true;
    void this.#carry();
  }

  async #carry(): Promise<void> {
    try {
      const from = Number(this.#cursor ?? 0);
      const to = Math.min(this.#made, from + 1 + this.#world.below(5));
      const { store } = this.#world;
      const entries = Array.from({ length: to - from }, (_, at) => this.#entry(from + at + 1));
      const cursors = { cursorBefore: this.#cursor, cursorAfter: String(to) };
      const append = { topic: this.topic, originRegion: "far", ...cursors, entries };
      this.#cursor = (await store.appendReplicated(append)).cursor;
    } catch (error) {
      if (!MeshError.is(error) || !error.retryable) throw error;
      await this.#resync();
    }
    this.#isBusy = false;
  }

  async #resync(): Promise<void> {
    await new Promise<void>((resolve) => this.#world.clock.setTimer(120, resolve));
    try {
      this.#cursor = await this.#world.store.replicationCursor("far", this.topic);
    } catch (error) {
      if (!MeshError.is(error)) throw error;
    }
  }

  #entry(number: number) {
    const event = sampleEvent(`far-${number}`, { source: "/far" });
    const entry = sampleEntry(this.topic, 0, event);
    return { position: `p${number}`, entry, origin: { region: "far" } };
  }
}
