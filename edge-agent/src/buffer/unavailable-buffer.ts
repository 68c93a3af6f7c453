import { emptyWatermark, MeshError, type Segment } from "@fleetmesh/core";
import type { BufferStats, BufferTopics, ClassStats, EventBuffer } from "./buffer.ts";

const nothing: ClassStats = {
  produced: 0,
  confirmed: emptyWatermark,
  queuedEvents: 0,
  queuedBytes: 0,
  gaps: { evicted: 0, expired: 0, damaged: 0 },
  oldestMs: undefined,
};

/** Stands where a buffer should be while its file cannot be opened: refuses appends for now, has nothing, has no epoch. */
export class UnavailableBuffer implements EventBuffer {
  readonly name = "unavailable-buffer";
  readonly agentId: string;
  readonly epoch = "";
  readonly #reason: string;
  readonly #bytesMax: number;

  constructor(agentId: string, reason: string, bytesMax: number) {
    this.agentId = agentId;
    this.#reason = reason;
    this.#bytesMax = bytesMax;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  append(): Promise<void> {
    const error = new MeshError("BUFFER_UNAVAILABLE", this.#reason, { retryAfterSeconds: 1 });
    return Promise.reject(error);
  }

  read(): Promise<Segment[]> {
    return Promise.resolve([]);
  }

  acknowledge(): Promise<void> {
    return Promise.resolve();
  }

  stats(): Promise<BufferStats> {
    const classes = { critical: nothing, normal: nothing, bulk: nothing };
    const unavailable = this.#reason;
    return Promise.resolve({ classes, bytes: 0, bytesMax: this.#bytesMax, unavailable });
  }

  topics(): Promise<BufferTopics> {
    return Promise.resolve({ queued: [], lost: [] });
  }

  onAppended(): void {
    // Nothing is ever appended.
  }
}
