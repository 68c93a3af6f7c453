import { eventClasses, type EventClass } from "@fleetmesh/core";
import { Counter, Gauge, type Registry } from "prom-client";
import type { BufferStats, BufferTopics, LostTopic, QueuedTopic } from "../buffer/buffer.ts";
import type { HandledCounts } from "../buffer/retired-epochs.ts";

export interface ClassedTopic {
  readonly topic: string;
  readonly eventClass: EventClass;
}

export interface BufferReading {
  readonly epoch: string;
  readonly stats: BufferStats;
  readonly topics: BufferTopics;
}

interface BufferMetricsSource {
  readonly registry: Registry;
  readonly wallMs: () => number;
  readonly topics: readonly ClassedTopic[];
}

interface Sum {
  readonly events: number;
  readonly bytes: number;
  readonly oldestMs: number;
}

const nothing: Sum = { events: 0, bytes: 0, oldestMs: Infinity };
const reasons = ["evicted", "expired", "damaged"] as const;
const topicCountMax = 1_000;
const epochCountMax = 16;
/** Of lost events whose topic nobody knows: those of a damaged buffer, or that expired in a block among others that had not. */
const unknownTopic = "";

/** Gauges and counters of the buffers, set from one reading of them all. A topic that was there once stays, at zero. */
export class BufferMetrics {
  readonly #source: BufferMetricsSource;
  readonly #known = new Map<string, ClassedTopic>();
  /** What each epoch has lost by topic, for the life of this process: a counter does not go back when its buffer goes. */
  readonly #lost = new Map<string, readonly LostTopic[]>();
  readonly #events: Gauge<"topic" | "class">;
  readonly #bytes: Gauge<"topic" | "class">;
  readonly #oldest: Gauge<"topic" | "class">;
  readonly #fileBytes: Gauge;
  readonly #evicted: Counter<"topic" | "class" | "reason">;

  constructor(source: BufferMetricsSource) {
    this.#source = source;
    const at = { registers: [source.registry] };
    const labelNames = ["topic", "class"] as const;
    this.#events = new Gauge({
      ...{ ...at, labelNames, name: "fleetmesh_edge_buffer_events" },
      help: "Events of a topic that wait in the edge buffer.",
    });
    this.#bytes = new Gauge({
      ...{ ...at, labelNames, name: "fleetmesh_edge_buffer_bytes" },
      help: "Bytes in which they are stored.",
    });
    this.#oldest = new Gauge({
      ...{ ...at, labelNames, name: "fleetmesh_edge_buffer_oldest_seconds" },
      help: "Age of the oldest event of a topic that waits.",
    });
    this.#fileBytes = new Gauge({
      ...{ ...at, name: "fleetmesh_edge_buffer_file_bytes" },
      help: "Bytes of the edge buffer in use, of those that it may take: events, gaps, and what it knows repeats by.",
    });
    this.#evicted = new Counter({
      ...{
        ...at,
        labelNames: [...labelNames, "reason"] as const,
        name: "fleetmesh_edge_evicted_total",
      },
      help: "Events that will never reach the region: evicted, expired or lost with a damaged buffer.",
    });
    for (const one of source.topics) this.know(one);
  }

  set(all: readonly BufferReading[], retired: HandledCounts): void {
    this.#fileBytes.set(all.reduce((sum, { stats }) => sum + stats.bytes, 0));
    const queued = this.#sums(all.flatMap(({ topics }) => topics.queued));
    for (const { epoch, topics } of all) this.#remember(epoch, topics.lost);
    this.#forgetBeyondBound(queued);
    this.#setQueued(queued);
    this.#setEvicted(all, retired);
  }

  /** What waits of each topic, and nothing of those that were there once. */
  #sums(queued: readonly QueuedTopic[]): Map<string, Sum> {
    const sums = new Map<string, Sum>();
    for (const one of queued) {
      const key = this.know(one);
      const { events, bytes, oldestMs } = sums.get(key) ?? nothing;
      sums.set(key, {
        events: events + one.events,
        bytes: bytes + one.bytes,
        oldestMs: Math.min(oldestMs, one.oldestMs ?? Infinity),
      });
    }
    return sums;
  }

  #setQueued(queued: ReadonlyMap<string, Sum>): void {
    for (const gauge of [this.#events, this.#bytes, this.#oldest]) gauge.reset();
    for (const [key, { topic, eventClass }] of this.#known) {
      const { events, bytes, oldestMs } = queued.get(key) ?? nothing;
      const labels = { topic, class: eventClass };
      const ageMs = oldestMs === Infinity ? 0 : Math.max(0, this.#source.wallMs() - oldestMs);
      this.#events.set(labels, events);
      this.#bytes.set(labels, bytes);
      this.#oldest.set(labels, ageMs / 1000);
    }
  }

  #setEvicted(all: readonly BufferReading[], retired: HandledCounts): void {
    this.#evicted.reset();
    for (const { topic, eventClass } of this.#known.values()) {
      for (const reason of ["evicted", "expired"] as const)
        this.#evicted.inc({ topic, class: eventClass, reason }, 0);
    }
    const named = [...this.#lost.values()].flat();
    for (const { topic, eventClass, reason, count } of named)
      this.#evicted.inc({ topic, class: eventClass, reason }, count);
    for (const name of eventClasses) {
      for (const reason of reasons) {
        const own = named.filter((one) => one.eventClass === name && one.reason === reason);
        const inBuffers = sumOf(all, ({ stats }) => {
          const { confirmed, gaps } = stats.classes[name];
          return confirmed[reason] + gaps[reason];
        });
        const rest = retired[name][reason] + inBuffers - sumOf(own, ({ count }) => count);
        this.#evicted.inc({ topic: unknownTopic, class: name, reason }, Math.max(0, rest));
      }
    }
  }

  /** The topic is shown from now on. Returns what it is kept under. */
  know({ topic, eventClass }: ClassedTopic): string {
    const key = `${eventClass} ${topic}`;
    if (!this.#known.has(key)) this.#known.set(key, { topic, eventClass });
    return key;
  }

  #forgetBeyondBound(queued: ReadonlyMap<string, Sum>): void {
    for (const key of this.#known.keys()) {
      if (this.#known.size <= topicCountMax) return;
      if (!queued.has(key)) this.#known.delete(key);
    }
  }

  #remember(epoch: string, lost: readonly LostTopic[]): void {
    if (lost.length === 0 && !this.#lost.has(epoch)) return;
    this.#lost.set(epoch, lost);
    const [oldest] = this.#lost.keys();
    if (this.#lost.size > epochCountMax && oldest !== undefined) this.#lost.delete(oldest);
  }
}

function sumOf<One>(all: readonly One[], count: (one: One) => number): number {
  return all.reduce((sum, one) => sum + count(one), 0);
}
