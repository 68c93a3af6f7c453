import type { EventClass } from "@fleetmesh/core";
import { Counter, type Registry } from "prom-client";
import type { HandledCounts } from "../buffer/retired-epochs.ts";
import { BufferMetrics, type BufferReading, type ClassedTopic } from "./buffer-metrics.ts";
import type { UplinkCount, UplinkObserver } from "../uplink/uplink-counts.ts";

export interface EdgeMetricsSource {
  readonly registry: Registry;
  /** The clock that events are stamped with. */
  readonly wallMs: () => number;
  /** One reading of every buffer. */
  readonly buffers: () => Promise<readonly BufferReading[]>;
  /** Of epochs that are gone from the buffers: counters never go back. */
  readonly retired: () => HandledCounts;
  /** Topics that the configuration names, with their class. */
  readonly topics: readonly ClassedTopic[];
  readonly classOf: (topic: string) => EventClass;
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
  readonly #buffer: BufferMetrics;

  constructor(source: EdgeMetricsSource) {
    const { registry } = source;
    this.#source = source;
    this.#buffer = new BufferMetrics(source);
    for (const { topic } of source.topics) {
      this.#bytes.set(topic, 0);
      this.#repeated.set(topic, 0);
    }
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
    const { registry, buffers, retired, classOf } = this.#source;
    const gone = retired();
    // What left as quickly as it came has its series too.
    for (const topic of this.#bytes.keys())
      if (topic !== othersLabel) this.#buffer.know({ topic, eventClass: classOf(topic) });
    this.#buffer.set(await buffers(), gone);
    return registry.metrics();
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
