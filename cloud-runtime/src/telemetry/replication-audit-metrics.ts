import { Counter, Gauge, type Registry } from "prom-client";
import type { ReplicationAccount, StoreLedger } from "../store/event-store.ts";

type Row = readonly [labels: { topic: string; region: string }, account: ReplicationAccount];

/** What the audit of replication found, out of the ledger: a restart does not set it back. `region` is where the events come from. */
export function addReplicationAuditMetrics(
  registry: Registry,
  ledger: () => Promise<StoreLedger>,
): void {
  const rows = async (): Promise<Row[]> => {
    const { replication = {} } = await ledger();
    return Object.entries(replication).flatMap(([topic, regions]) =>
      Object.entries(regions).map(([region, account]): Row => [{ topic, region }, account]),
    );
  };
  const at = { registers: [registry], labelNames: ["topic", "region"] as const };
  const count = (name: string, help: string, of: (account: ReplicationAccount) => number): void => {
    new Counter({
      ...{ ...at, name, help },
      async collect() {
        const found = await rows();
        this.reset();
        for (const [labels, account] of found) this.inc(labels, of(account));
      },
    });
  };
  count(
    "fleetmesh_replication_audit_checked_total",
    "Events of a region that its seals say should be here.",
    ({ sealed }) => sealed,
  );
  count(
    "fleetmesh_replication_audit_missing_total",
    "Events of a region that did not come by replication.",
    ({ missing }) => missing,
  );
  count(
    "fleetmesh_replication_audit_repaired_total",
    "Missing events that were published again and came.",
    ({ repaired }) => repaired,
  );
  count(
    "fleetmesh_replication_audit_lost_total",
    "Missing events that their region does not have any more.",
    ({ lost }) => lost,
  );
  new Gauge({
    ...at,
    name: "fleetmesh_replication_audit_open",
    help: "Events of a region that are missing now.",
    async collect() {
      const found = await rows();
      this.reset();
      for (const [labels, { open }] of found) this.set(labels, open);
    },
  });
}
