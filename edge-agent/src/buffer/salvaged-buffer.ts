import {
  eventClasses,
  MeshError,
  type ClassWatermark,
  type EventClass,
  type Segment,
} from "@fleetmesh/core";
import type { BufferStats, BufferTopics, EventBuffer, ReadRequest } from "./buffer.ts";

type Watermarks = Readonly<Partial<Record<EventClass, ClassWatermark>>>;

/** What was readable of a damaged buffer, under its old identity: it is drained, and takes nothing. */
export class SalvagedBuffer implements EventBuffer {
  readonly name = "salvaged-buffer";
  readonly #buffer: EventBuffer;
  readonly #onDrained: () => void;
  #isDrained = false;

  constructor(buffer: EventBuffer, onDrained: () => void) {
    this.#buffer = buffer;
    this.#onDrained = onDrained;
  }

  get agentId(): string {
    return this.#buffer.agentId;
  }

  get epoch(): string {
    return this.#buffer.epoch;
  }

  start(): Promise<void> {
    return this.#buffer.start();
  }

  stop(deadline: AbortSignal): Promise<void> {
    return this.#buffer.stop(deadline);
  }

  append(): Promise<void> {
    return Promise.reject(new MeshError("STOPPING", "A salvaged buffer takes no events"));
  }

  read(request: ReadRequest): Promise<Segment[]> {
    return this.#buffer.read(request);
  }

  async acknowledge(watermarks: Watermarks): Promise<void> {
    await this.#buffer.acknowledge(await this.#withinProduced(watermarks));
    await this.tellWhenDrained();
  }

  stats(): Promise<BufferStats> {
    return this.#buffer.stats();
  }

  topics(): Promise<BufferTopics> {
    return this.#buffer.topics();
  }

  onAppended(): void {
    // Nothing is ever appended.
  }

  /** Calls back, once, when everything is acknowledged; it may be so from the start. */
  async tellWhenDrained(): Promise<void> {
    const { classes } = await this.#buffer.stats();
    const isDrained = Object.values(classes).every(
      (one) => one.confirmed.sequence === one.produced,
    );
    if (!isDrained || this.#isDrained) return;
    this.#isDrained = true;
    this.#onDrained();
  }

  /** When the old counters were unreadable, the region may know of more than was found here: all of it is handled then. */
  async #withinProduced(watermarks: Watermarks): Promise<Watermarks> {
    const { classes } = await this.#buffer.stats();
    const within: Partial<Record<EventClass, ClassWatermark>> = {};
    for (const eventClass of eventClasses) {
      const watermark = watermarks[eventClass];
      if (!watermark) continue;
      const { produced } = classes[eventClass];
      const beyond = watermark.sequence - produced;
      within[eventClass] =
        beyond <= 0
          ? watermark
          : { ...watermark, sequence: produced, stored: watermark.stored - beyond };
    }
    return within;
  }
}
