import { createLogger, systemChance, systemClock } from "@fleetmesh/core";
import {
  BinaryPulsarClient,
  HttpPulsarAdmin,
  type PulsarReader,
  type ReaderOptions,
} from "@fleetmesh/pulsar";
import { Registry } from "prom-client";
import { afterEach, describe, expect, it } from "vitest";
import { Dispatcher } from "../../cloud-runtime/src/delivery/dispatcher.ts";
import { MemoryMetadata } from "../../cloud-runtime/src/metadata/memory-metadata.ts";
import { openPulsarStore } from "../../cloud-runtime/src/store/pulsar-store.ts";
import { MemoryTarget } from "../../cloud-runtime/src/target/memory-target.ts";
import { sampleEvent, sampleSubscription } from "../../cloud-runtime/test/subscription-samples.ts";
import { until } from "../integration/delivery-sink.ts";
import { sharedPulsar } from "../servers/shared-pulsar.ts";

const topic = "vehicle.telemetry";
const [subscriptionCount, typeCount, eventCount, lateCount] = [10_000, 100, 300, 200];

/** Counts the messages of one topic that come from the broker. */
class CountingClient extends BinaryPulsarClient {
  received = 0;

  override async reader(name: string, options: ReaderOptions): Promise<PulsarReader> {
    const reader = await super.reader(name, options);
    if (name !== topic) return reader;
    return {
      next: async (countMax, signal) => {
        const messages = await reader.next(countMax, signal);
        this.received += messages.length;
        return messages;
      },
      close: () => reader.close(),
    };
  }
}

describe("thousands of subscriptions of one topic in Pulsar", () => {
  const open: { close: () => Promise<unknown> }[] = [];
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });

  it("are served by one read of it, those that begin far behind together", async (context) => {
    const { server, namespace: place } = await sharedPulsar(context);
    const [tenant = "", namespace = ""] = place.split("/");
    const ports = { clock: systemClock, chance: systemChance };
    const at = { tenant, namespace, ...ports };
    const client = new CountingClient({ url: server.brokerUrl, ...at });
    const admin = new HttpPulsarAdmin({ url: server.webUrl, ...at });
    const logger = createLogger({ part: "test", level: "silent" });
    const store = openPulsarStore({
      ...{ client, admin, region: "cn-east", logger, ...ports },
      // Without it what was published just now is in memory.
      tailBytesMax: 0,
    });
    await store.part.start();
    open.push({ close: () => store.part.stop(AbortSignal.timeout(5_000)) });
    const metadata = new MemoryMetadata({
      autoCreateTopics: true,
      topicDefaults: { retentionMs: 1e9, retentionBytes: 1e9 },
    });
    const delivered = new Map<string, number>();
    const dispatcher = new Dispatcher({
      ...{ store: store.events, deliveries: store.deliveries, metadata, logger, ...ports },
      createTarget: () =>
        new MemoryTarget(({ subscription }) => {
          delivered.set(subscription, (delivered.get(subscription) ?? 0) + 1);
          return { kind: "taken", status: "200" };
        }),
      registry: new Registry(),
    });
    for (let n = 0; n < subscriptionCount; n += 1) {
      const filters = [{ exact: { type: `t${n % typeCount}` } }];
      await metadata.putSubscription(sampleSubscription({ id: `s${n}`, filters }));
    }
    await dispatcher.start();
    open.push({ close: () => dispatcher.stop(AbortSignal.timeout(10_000)) });
    const total = (): number => [...delivered.values()].reduce((sum, count) => sum + count, 0);
    const publish = (from: number, count: number) => {
      const events = Array.from({ length: count }, (_, n) =>
        sampleEvent({ id: `e${from + n}`, type: `t${(from + n) % typeCount}` }),
      );
      return store.events.appendDirect({ topic, receivedMs: Date.now(), events });
    };
    for (let from = 0; from < eventCount; from += 100) await publish(from, 100);
    const expected = (eventCount * subscriptionCount) / typeCount;
    await until(() => total() === expected);
    const live = client.received;
    // The fold reads each once, and one reader for all subscriptions again, since there is no tail.
    expect(live).toBeLessThanOrEqual(3 * eventCount);
    for (let n = 0; n < lateCount; n += 1) {
      const base = sampleSubscription({ id: `late${n}` });
      const starts = await dispatcher.prepare(base, "earliest");
      await metadata.putSubscription({ ...base, starts: starts.counts });
    }
    await until(() => total() === expected + lateCount * eventCount);
    expect(client.received - live).toBeLessThanOrEqual(2 * eventCount);
    process.stdout.write(
      `${subscriptionCount} subscriptions, ${eventCount} events: ${live} messages read; ` +
        `${lateCount} from the beginning: ${client.received - live} more\n`,
    );
  });
});
