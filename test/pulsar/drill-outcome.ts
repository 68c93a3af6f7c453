import { expect, vi } from "vitest";
import type { ReplicationAccount } from "@fleetmesh/cloud-runtime";
import type { RuntimeHarness } from "../integration/runtime-harness.ts";
import { numbersByKey, type DrillPublisher } from "./drill-publisher.ts";

/** What drills look at of `GET /v1/ledger`. */
export interface RegionLedger {
  readonly difference: number;
  readonly duplicates: { readonly replicated: number };
  readonly replication: readonly (ReplicationAccount & {
    readonly topic: string;
    readonly region: string;
  })[];
  readonly unknownRegions: number;
}

const waiting = { timeout: 120_000, interval: 250 };

export async function ledgerOf(region: RuntimeHarness): Promise<RegionLedger> {
  const ledger = (await (await region.request("/v1/ledger")).json()) as RegionLedger;
  // The embedded store has no such accounts: its links are audited by the bridge.
  return { ...{ replication: [] }, ...ledger };
}

/** Waits until the region has what they had acknowledged: that and nothing else, each event once, each key in order. */
export async function expectAllOnce(
  region: RuntimeHarness,
  topic: string,
  publishers: readonly DrillPublisher[],
): Promise<void> {
  const acknowledged = publishers.flatMap((publisher) => publisher.acknowledged).sort();
  await vi.waitFor(async () => {
    const here = new Set(await region.ids(topic));
    expect(acknowledged.filter((id) => !here.has(id))).toEqual([]);
  }, waiting);
  const ids = await region.ids(topic);
  expect([...ids].sort(), region.region).toEqual(acknowledged);
  expectKeysInOrder(ids, publishers, region.region);
  expect((await ledgerOf(region)).difference, region.region).toBe(0);
}

/** Each publisher's events lie in the order in which it published them, key by key. */
export function expectKeysInOrder(
  ids: readonly string[],
  publishers: readonly DrillPublisher[],
  where = "",
): void {
  for (const { name } of publishers)
    for (const [key, numbers] of numbersByKey(ids, name)) {
      const sorted = [...numbers].sort((left, right) => left - right);
      expect(numbers, `${where}: ${name} ${key}`).toEqual(sorted);
    }
}
