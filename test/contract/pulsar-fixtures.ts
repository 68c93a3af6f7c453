import { setTimeout as delay } from "node:timers/promises";
import {
  createLogger,
  seededChance,
  SimulatedClock,
  systemChance,
  systemClock,
} from "@fleetmesh/core";
import { openPulsarStore, type PulsarStore } from "@fleetmesh/cloud-runtime";
import {
  BinaryPulsarClient,
  HttpPulsarAdmin,
  MemoryBroker,
  MemoryPulsarAdmin,
  MemoryPulsarClient,
  type TopicPolicy,
} from "@fleetmesh/pulsar";
import { freshNamespace } from "../servers/pulsar-namespace.ts";
import type { PulsarAddress } from "../servers/pulsar-server.ts";
import type { EventStoreFixture } from "./event-store-probe.ts";

const region = "cn-east";
const directWindow = 100;
const retentionMs = 60_000;
const deadline = (): AbortSignal => AbortSignal.timeout(5_000);

/** The store on Pulsar over the broker in memory, with a new client at each opening as a new process has. */
export async function openPulsarMemory(tailBytesMax: number): Promise<EventStoreFixture> {
  const clock = new SimulatedClock();
  const broker = new MemoryBroker({ clock, chance: seededChance(1) });
  const open = (): PulsarStore =>
    openPulsarStore({
      client: new MemoryPulsarClient(broker),
      admin: new MemoryPulsarAdmin(broker),
      ...{ region, directWindow, tailBytesMax, clock, chance: seededChance(2) },
      retention: () => ({ retentionMs, retentionBytes: 1_000_000 }),
      logger: createLogger({ part: "test", level: "silent" }),
    });
  let store = open();
  await store.part.start();
  return {
    store: store.events,
    ...{ region, directWindow, retentionMs },
    nowMs: () => clock.wallMs(),
    pass: (ms) => clock.advance(ms),
    async reopen() {
      await store.part.stop(deadline());
      store = open();
      await store.part.start();
      return store.events;
    },
    close: () => store.part.stop(deadline()),
  };
}

/** A small server's default backlog quota does not let a topic keep few bytes. */
class TimedAdmin extends HttpPulsarAdmin {
  override ensureTopic(topic: string, policy: TopicPolicy): Promise<void> {
    return super.ensureTopic(topic, { ...policy, retentionBytes: undefined });
  }
}

/** Retention passes really: as short as segments let it be. */
const realRetentionMs = 2_000;

/** The store over a real Pulsar, in a namespace of its own. */
export async function openPulsarServerStore(server: PulsarAddress): Promise<EventStoreFixture> {
  const [tenant = "", namespace = ""] = (await freshNamespace(server)).split("/");
  const place = { tenant, namespace, clock: systemClock, chance: systemChance };
  const open = (): PulsarStore =>
    openPulsarStore({
      client: new BinaryPulsarClient({ url: server.brokerUrl, ...place }),
      admin: new TimedAdmin({ url: server.webUrl, ...place }),
      ...{ region, directWindow },
      retention: () => ({ retentionMs: realRetentionMs, retentionBytes: 1_000_000 }),
      logger: createLogger({ part: "test", level: "silent" }),
    });
  let store = open();
  await store.part.start();
  return {
    store: store.events,
    ...{ region, directWindow, retentionMs: realRetentionMs },
    nowMs: () => Date.now(),
    pass: async (ms) => delay(ms),
    async reopen() {
      await store.part.stop(deadline());
      store = open();
      await store.part.start();
      return store.events;
    },
    close: () => store.part.stop(deadline()),
  };
}
