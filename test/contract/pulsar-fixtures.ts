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

export interface ServerStoreWish {
  /** tenant/namespace; one of its own when left out. */
  readonly place?: string;
  readonly retentionMs?: number;
  readonly sendTimeoutMs?: number;
}

/** Opens stores over one namespace of a real Pulsar, one after another; none is started. */
export async function serverStores(
  server: PulsarAddress,
  { place, retentionMs: keptMs = realRetentionMs, sendTimeoutMs = 15_000 }: ServerStoreWish = {},
): Promise<() => PulsarStore> {
  const [tenant = "", namespace = ""] = (place ?? (await freshNamespace(server))).split("/");
  const at = { tenant, namespace, clock: systemClock, chance: systemChance };
  return () =>
    openPulsarStore({
      client: new BinaryPulsarClient({ url: server.brokerUrl, ...at }),
      admin: new TimedAdmin({ url: server.webUrl, ...at }),
      ...{ region, directWindow, sendTimeoutMs },
      retention: () => ({ retentionMs: keptMs, retentionBytes: 1_000_000_000 }),
      logger: createLogger({ part: "test", level: "silent" }),
    });
}

/** The store over a real Pulsar, in a namespace of its own. */
export async function openPulsarServerStore(server: PulsarAddress): Promise<EventStoreFixture> {
  const open = await serverStores(server);
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
