import { eventClasses, type EventClass } from "@fleetmesh/core";
import { Counter, Gauge, type Registry } from "prom-client";
import type { BufferStats, ClassStats } from "../buffer/buffer.ts";
import type { HandledCounts } from "../buffer/retired-epochs.ts";
import type { UplinkCount, UplinkObserver } from "../uplink/uplink-counts.ts";

export interface EdgeMetricsSource {
  readonly registry: Registry;
  /** The clock that events are stamped with. */
  readonly wallMs: () => number;
  /** One reading of every buffer. */
  readonly stats: () => Promise<readonly BufferStats[]>;
  /** Of epochs that are gone from the buffers: counters never go back. */
  readonly retired: () => HandledCounts;
}

const topicCountMax = 1_000;
const othersLabel = "(others)";

/**
 * What the agent tells Prometheus beside its doors' counts. Counting on the event path is a map look-up; buffers are read
 * when the metrics are.
 */
export class EdgeMetrics implements UplinkObserver {
  readonly #bytes = new Map<string, number>();
  readonly #repeated = new Map<string, number>();
  readonly #counts: Record<UplinkCount, number> = {
    batches: 0,
    resends: 0,
    rewinds: 0,
    reconnects: 0,
    lost: 0,
    rejected: 0,
    undeliverable: 0,
  };

  readonly #source: EdgeMetricsSource;
  readonly #buffer: ReturnType<typeof bufferMetrics>;

  constructor(source: EdgeMetricsSource) {
    const { registry } = source;
    this.#source = source;
    this.#buffer = bufferMetrics(registry);
    this.#addUplinkBytes(registry);
    this.#addRepeated(registry);
    this.#addCount(registry, "batches", "Batches sent to the region, resends included.");
    this.#addCount(registry, "resends", "Batches sent again.");
    this.#addCount(registry, "rewinds", "Times the region asked to go back.");
    this.#addCount(registry, "reconnects", "Times the connection was lost or not made.");
    this.#addCount(registry, "lost", "Events that the region had confirmed and lost.");
    this.#addCount(registry, "rejected", "Events that the region refused for good.");
    this.#addCount(registry, "undeliverable", "Events kept aside: no message could carry them.");
  }

  get counts(): Readonly<Record<UplinkCount, number>> {
    return this.#counts;
  }

  get bytesByTopic(): ReadonlyMap<string, number> {
    return this.#bytes;
  }

  sent(bytesByTopic: ReadonlyMap<string, number>): void {
    for (const [topic, bytes] of bytesByTopic) {
      addTo(this.#bytes, topic, bytes);
    }
  }

  /** An event of the topic came again and was not stored again. */
  repeated(topic: string): void {
    addTo(this.#repeated, topic, 1);
  }

  count(what: UplinkCount, by: number): void {
    this.#counts[what] += by;
  }

  /** The registry's text, with the buffers as they are now. */
  async text(): Promise<string> {
    const { registry, stats, retired } = this.#source;
    const gone = retired();
    this.#setBuffers(await stats(), gone);
    return registry.metrics();
  }

  #setBuffers(all: readonly BufferStats[], retired: HandledCounts): void {
    const { events, bytes, evicted } = this.#buffer;
    bytes.set(all.reduce((sum, one) => sum + one.bytes, 0));
    evicted.reset();
    for (const name of eventClasses) {
      const own = all.map(({ classes }) => classes[name]);
      events.set(
        { class: name },
        own.reduce((sum, { queuedEvents }) => sum + queuedEvents, 0),
      );
      this.#setOldest(name, own);
      for (const reason of ["evicted", "expired", "damaged"] as const) {
        evicted.inc({ class: name, reason }, retired[name][reason]);
        for (const { confirmed, gaps } of own)
          evicted.inc({ class: name, reason }, confirmed[reason] + gaps[reason]);
      }
    }
  }

  #setOldest(name: EventClass, own: readonly ClassStats[]): void {
    const since = Math.min(...own.map(({ oldestMs }) => oldestMs ?? Infinity));
    const ageMs = since === Infinity ? 0 : Math.max(0, this.#source.wallMs() - since);
    this.#buffer.oldest.set({ class: name }, ageMs / 1000);
  }

  #addUplinkBytes(registry: Registry): void {
    const bytes = this.#bytes;
    new Counter({
      name: "fleetmesh_uplink_bytes_total",
      help: "Bytes on the uplink, MQTT framing included, a batch's shared out over its topics.",
      labelNames: ["topic"],
      registers: [registry],
      collect() {
        this.reset();
        for (const [topic, count] of bytes) this.inc({ topic }, Math.round(count));
      },
    });
  }

  #addRepeated(registry: Registry): void {
    const repeated = this.#repeated;
    new Counter({
      name: "fleetmesh_events_duplicate_total",
      help: "Events that came again through a door and were not stored again.",
      labelNames: ["topic"],
      registers: [registry],
      collect() {
        this.reset();
        for (const [topic, count] of repeated) this.inc({ topic }, count);
      },
    });
  }

  #addCount(registry: Registry, what: UplinkCount, help: string): void {
    const counts = this.#counts;
    new Counter({
      name: `fleetmesh_uplink_${what}_total`,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(counts[what]);
      },
    });
  }
}

/** Counts under the topic, as long as there are not too many of them. */
function addTo(counts: Map<string, number>, topic: string, by: number): void {
  const isKnown = counts.has(topic) || counts.size < topicCountMax;
  const label = isKnown ? topic : othersLabel;
  counts.set(label, (counts.get(label) ?? 0) + by);
}

/** Gauges and counters of the buffers, set by `refresh` from one reading of them all. */
function bufferMetrics(registry: Registry) {
  const registers = [registry];
  const labelNames = ["class"] as const;
  return {
    events: new Gauge({
      name: "fleetmesh_edge_buffer_events",
      help: "Events that wait in the edge buffer.",
      labelNames,
      registers,
    }),
    bytes: new Gauge({
      name: "fleetmesh_edge_buffer_bytes",
      help: "Bytes of the edge buffer in use.",
      registers,
    }),
    oldest: new Gauge({
      name: "fleetmesh_edge_buffer_oldest_seconds",
      help: "Age of the oldest event that waits.",
      labelNames,
      registers,
    }),
    evicted: new Counter({
      name: "fleetmesh_edge_evicted_total",
      help: "Events that will never reach the region: evicted, expired or lost with a damaged buffer.",
      labelNames: ["class", "reason"],
      registers,
    }),
  };
}
