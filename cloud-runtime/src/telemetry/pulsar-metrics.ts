import { Counter, Gauge, type Registry } from "prom-client";

export interface PulsarMetrics {
  readonly topicDrift: Counter<"topic" | "field">;
}

export interface PulsarMetricsOptions {
  readonly client: string;
  /** True while this node has the region's store. */
  readonly isOpen: () => boolean;
}

/** What a region with its store in Pulsar has beside the rest. */
export function createPulsarMetrics(
  registry: Registry,
  { client, isOpen }: PulsarMetricsOptions,
): PulsarMetrics {
  const registers = [registry];
  const info = new Gauge({
    registers,
    name: "fleetmesh_pulsar_client_info",
    help: "1, labelled with the client by which this process speaks to Pulsar.",
    labelNames: ["client"],
  });
  info.set({ client }, 1);
  const open: Gauge = new Gauge({
    registers,
    name: "fleetmesh_pulsar_store_open",
    help: "1 while this node has the region's store, 0 while the broker is away or another node has it.",
    collect: () => open.set(isOpen() ? 1 : 0),
  });
  const topicDrift = new Counter({
    registers,
    name: "fleetmesh_pulsar_topic_drift_total",
    help: "Settings of topics in Pulsar that somebody else had changed, found and set right.",
    labelNames: ["topic", "field"],
  });
  return { topicDrift };
}
