import { Counter, Gauge, type Registry } from "prom-client";

export type LinkLabels = "region" | "to" | "topic";

/** What a bridge counts; `region` is where the events come from. */
export interface BridgeMetrics {
  readonly forwarded: Counter<LinkLabels>;
  readonly withheld: Counter<LinkLabels>;
  readonly lag: Gauge<LinkLabels>;
  readonly isUp: Gauge<LinkLabels>;
  readonly auditMissing: Counter<LinkLabels>;
  readonly auditChecked: Counter<LinkLabels>;
  readonly skipped: Counter<LinkLabels>;
  readonly backlog: Gauge<LinkLabels>;
  readonly drift: Counter<LinkLabels>;
}

/** `observe` brings the gauges up to date; called at each scrape. */
export function createBridgeMetrics(registry: Registry, observe: () => void): BridgeMetrics {
  const labelNames: LinkLabels[] = ["region", "to", "topic"];
  const at = { registers: [registry], labelNames };
  return {
    forwarded: new Counter({
      ...at,
      name: "fleetmesh_replication_forwarded_total",
      help: "Events stored in the other region.",
    }),
    withheld: new Counter({
      ...at,
      name: "fleetmesh_replication_withheld_total",
      help: "Events that an embedded link did not bring because they name other regions (meshregions).",
    }),
    lag: new Gauge({
      ...at,
      name: "fleetmesh_replication_lag_seconds",
      help: "How far the receiving region is behind; while a side is down, how long it has been.",
      collect: observe,
    }),
    isUp: new Gauge({
      ...at,
      name: "fleetmesh_replication_link_up",
      help: "1 while the link works, 0 while it waits for one of its regions.",
      collect: observe,
    }),
    auditMissing: new Counter({
      ...at,
      name: "fleetmesh_replication_audit_missing_total",
      help: "Events that the audit of both ends found missing.",
    }),
    auditChecked: new Counter({
      ...at,
      name: "fleetmesh_replication_audit_checked_total",
      help: "Events whose presence at both ends was audited.",
    }),
    skipped: new Counter({
      ...at,
      name: "fleetmesh_replication_trimmed_total",
      help: "Times that retention was faster than the link, so that events were lost to it.",
    }),
    backlog: new Gauge({
      ...at,
      name: "fleetmesh_replication_backlog_entries",
      help: "Entries of the origin's topic in Pulsar that are not in the other cluster yet.",
      collect: observe,
    }),
    drift: new Counter({
      ...at,
      name: "fleetmesh_replication_drift_total",
      help: "Times that what the bridge had set in Pulsar was found changed, and was set again.",
    }),
  };
}
