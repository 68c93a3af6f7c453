import { setTimeout as delay } from "node:timers/promises";
import { createLogger, systemChance, systemClock } from "@fleetmesh/core";
import type { Cursor } from "@fleetmesh/cloud-runtime";
import { BinaryPulsarClient, HttpPulsarAdmin } from "@fleetmesh/pulsar";
import { afterEach, describe, expect, it } from "vitest";
import { until } from "../integration/delivery-sink.ts";
import { adminCall, type PulsarAddress } from "../servers/pulsar-server.ts";
import { sharedPulsar } from "../servers/shared-pulsar.ts";
import { openPulsarStore, type PulsarStore } from "../../cloud-runtime/src/store/pulsar-store.ts";

const log = "_mesh.deliveries";
const [subscriptionCount, roundCount] = [50, 120];
const deadline = (): AbortSignal => AbortSignal.timeout(5_000);

class CountingAdmin extends HttpPulsarAdmin {
  compacted = 0;

  override async compact(topic: string): Promise<void> {
    await super.compact(topic);
    if (topic === log) this.compacted += 1;
  }
}

function cursor(subscription: string, round: number): Cursor {
  const counts = { delivered: 1, filtered: 0, expired: 0, deadLettered: 0, trimmed: 0, damaged: 0 };
  const place = { start: "0.-1.-1", position: `5.${round}.-1` };
  const ahead = Array.from({ length: 30 }, (_, at) => `5.${round + 2 + 2 * at}.-1`);
  return { subscription, topic: "vehicle.speed", ...place, ahead, counts };
}

interface Stats {
  readonly ledgers: readonly { readonly ledgerId: number; readonly size: number }[];
  readonly compactedLedger: { readonly entries: number };
  readonly cursors: Readonly<Record<string, unknown>>;
}

describe("the state of a store in a real Pulsar", () => {
  const open: { close: () => Promise<unknown> }[] = [];
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });

  it("is compacted as it grows, and read the same when what was compacted is gone", async (context) => {
    const { server, namespace: place } = await sharedPulsar(context);
    const [tenant = "", namespace = ""] = place.split("/");
    const at = { tenant, namespace, clock: systemClock, chance: systemChance };
    const admin = new CountingAdmin({ url: server.webUrl, ...at });
    const storeOf = async (): Promise<PulsarStore> => {
      const store = openPulsarStore({
        ...{ client: new BinaryPulsarClient({ url: server.brokerUrl, ...at }), admin },
        ...{ region: "cn-east", compactionBytes: 100_000 },
        logger: createLogger({ part: "test", level: "silent" }),
      });
      await store.part.start();
      open.push({ close: () => store.part.stop(deadline()) });
      return store;
    };
    const store = await storeOf();
    const nothing = { retries: [], retriesDone: [], deadLetters: [], records: [] };
    const names = Array.from({ length: subscriptionCount }, (_, n) => `s${n}`);
    await store.deliveries.commit({ ...nothing, cursors: [cursor("quiet", 1)] });
    for (let round = 1; round <= roundCount; round += 1) {
      const cursors = names.map((name) => cursor(name, round));
      await store.deliveries.commit({ ...nothing, cursors });
    }
    await until(() => admin.compacted > 0);
    await store.part.stop(deadline());
    await letGo(server, `persistent/${place}/${log}`, admin);
    const again = await storeOf();
    expect(await again.deliveries.cursors("quiet")).toEqual([cursor("quiet", 1)]);
    for (const name of names)
      expect(await again.deliveries.cursors(name)).toEqual([cursor(name, roundCount)]);
  });

  /** Has the broker remove every ledger that it may: all that are compacted. */
  async function letGo(server: PulsarAddress, path: string, admin: CountingAdmin): Promise<void> {
    const call = (method: "PUT" | "POST", part: string, body?: unknown) =>
      adminCall(
        server,
        method,
        body === undefined ? `${path}${part}` : { path: `${path}${part}`, body },
      );
    const stats = async (): Promise<Stats> =>
      JSON.parse((await adminCall(server, "GET", `${path}/internalStats`)).text) as Stats;
    const before = await stats();
    expect(Object.keys(before.cursors)).toContain("__compaction");
    await call("POST", "/retention", { retentionTimeInMinutes: 0, retentionSizeInMB: 0 });
    let waitMs = 500;
    await until(async () => {
      // Again each time: what a compaction has covered may be forgotten when the topic is unloaded right behind it.
      await admin.compact(log);
      await call("PUT", "/unload");
      await call("POST", "/trim");
      // Removing takes a moment, longer on a busy machine; a topic that is unloaded again meanwhile begins anew.
      await delay(waitMs);
      waitMs = Math.min(2 * waitMs, 8_000);
      const { ledgers } = await stats();
      return (ledgers[0]?.ledgerId ?? 0) > (before.ledgers.at(-1)?.ledgerId ?? 0);
    });
    expect((await stats()).compactedLedger.entries).toBeGreaterThan(0);
  }
});
