import { systemChance, systemClock } from "@fleetmesh/core";
import { BinaryPulsarClient } from "@fleetmesh/pulsar";
import { expect } from "vitest";
import type { PulsarAddress } from "../servers/pulsar-server.ts";

/** A message of an event as it lies in a cluster's topic. */
export interface LyingEvent {
  readonly id: string;
  /** The cluster whose broker brought it; undefined at home, and for what a link brought. */
  readonly from: string | undefined;
}

const waitMs = 120_000;

/**
 * The events in one cluster's topic, copies and all, up to the last of these. Replicators go through a topic in its order: a copy
 * that one of them forwarded lies before an event that was published behind the copied one.
 */
export async function lyingEvents(
  {
    server,
    tenant,
    topic,
  }: { readonly server: PulsarAddress; readonly tenant: string; readonly topic: string },
  last: readonly string[],
): Promise<LyingEvent[]> {
  const at = { tenant, namespace: "mesh", clock: systemClock, chance: systemChance };
  const client = new BinaryPulsarClient({ url: server.brokerUrl, ...at });
  try {
    const reader = await client.reader(topic, { after: "earliest", queueMax: 500 });
    const found: LyingEvent[] = [];
    const missing = new Set(last);
    const signal = AbortSignal.timeout(waitMs);
    while (missing.size > 0 && !signal.aborted)
      for (const { properties, replicatedFrom } of await reader.next(500, signal)) {
        const id = properties["ce_id"];
        if (id === undefined) continue;
        found.push({ id, from: replicatedFrom });
        missing.delete(id);
      }
    expect([...missing], server.cluster).toEqual([]);
    return found;
  } finally {
    await client.stop(AbortSignal.timeout(5_000));
  }
}
