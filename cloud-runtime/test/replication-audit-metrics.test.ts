import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import type { ReplicationAccount, StoreLedger } from "../src/store/event-store.ts";
import { addReplicationAuditMetrics } from "../src/telemetry/replication-audit-metrics.ts";

const account: ReplicationAccount = {
  ...{ sealed: 100, arrived: 95, missing: 5, repaired: 2, lost: 1, open: 2 },
  ...{ extra: 0, differing: 0 },
};
const ledger: StoreLedger = {
  topics: {},
  duplicates: { agents: 0, direct: 0, replicated: 0 },
  rejected: 0,
  gaps: { evicted: 0, expired: 0, damaged: 0 },
};

describe("metrics of the replication's audit", () => {
  it("say by topic and origin region what the ledger says, at every scrape the same", async () => {
    const registry = new Registry();
    const replication = { "vehicle.speed": { "cn-east": account } };
    addReplicationAuditMetrics(registry, () => Promise.resolve({ ...ledger, replication }));
    await registry.metrics();
    const text = await registry.metrics();
    for (const [name, count] of [
      ["checked_total", 100],
      ["missing_total", 5],
      ["repaired_total", 2],
      ["lost_total", 1],
      ["open", 2],
    ] as const)
      expect(text).toContain(
        `fleetmesh_replication_audit_${name}{topic="vehicle.speed",region="cn-east"} ${count}`,
      );
  });

  it("show no series where brokers do not replicate", async () => {
    const registry = new Registry();
    addReplicationAuditMetrics(registry, () => Promise.resolve(ledger));
    expect(await registry.metrics()).not.toContain("region=");
  });
});
