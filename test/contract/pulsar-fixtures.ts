import { setTimeout as delay } from "node:timers/promises";
import {
  createLogger,
  seededChance,
  SimulatedClock,
  systemChance,
  systemClock,
} from "@fleetmesh/core";
import {
  BinaryPulsarClient,
  HttpPulsarAdmin,
  MemoryBroker,
  MemoryPulsarAdmin,
  MemoryPulsarClient,
  WebSocketPulsarClient,
  type PulsarClient,
} from "@fleetmesh/pulsar";
import { freshNamespace } from "../servers/pulsar-namespace.ts";
import type { PulsarAddress } from "../servers/pulsar-server.ts";
import type { DeliveryStoreFixture } from "./delivery-store.contract.ts";
import type { EventStoreFixture } from "./event-store-probe.ts";
import { openPulsarStore, type PulsarStore } from "../../cloud-runtime/src/store/pulsar-store.ts";

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

/** Retention passes really: as short as segments let it be. */
const realRetentionMs = 2_000;

export interface ServerStoreWish {
  /** tenant/namespace; one of its own when left out. */
  readonly place?: string;
  readonly retentionMs?: number;
  readonly sendTimeoutMs?: number;
  /** "binary" when left out. */
  readonly client?: "binary" | "websocket";
}

/** Opens stores over one namespace of a real Pulsar, one after another; none is started. */
export async function serverStores(
  server: PulsarAddress,
  wish: ServerStoreWish = {},
): Promise<() => PulsarStore> {
  const { place, retentionMs: keptMs = realRetentionMs, sendTimeoutMs = 15_000 } = wish;
  const [tenant = "", namespace = ""] = (place ?? (await freshNamespace(server))).split("/");
  const at = { tenant, namespace, clock: systemClock, chance: systemChance };
  const admin = new HttpPulsarAdmin({ url: server.webUrl, ...at });
  // Lifts the broker's backlog quota, too, which would not let a topic keep few bytes.
  await admin.ensureNamespace([server.cluster]);
  const client = (): PulsarClient =>
    wish.client === "websocket"
      ? new WebSocketPulsarClient({ url: server.wsUrl, ...at })
      : new BinaryPulsarClient({ url: server.brokerUrl, ...at });
  return () =>
    openPulsarStore({
      ...{ client: client(), admin },
      ...{ region, directWindow, sendTimeoutMs },
      retention: () => ({ retentionMs: keptMs, retentionBytes: 1_000_000_000 }),
      logger: createLogger({ part: "test", level: "silent" }),
    });
}

/** The store over a real Pulsar, in a namespace of its own. */
export async function openPulsarServerStore(
  server: PulsarAddress,
  wish: ServerStoreWish = {},
): Promise<EventStoreFixture> {
  const open = await serverStores(server, wish);
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

/** The other half of the same store, over the broker in memory. */
export async function openPulsarMemoryDeliveries(): Promise<DeliveryStoreFixture> {
  const clock = new SimulatedClock();
  const broker = new MemoryBroker({ clock, chance: seededChance(1) });
  return deliveriesOf(() =>
    openPulsarStore({
      client: new MemoryPulsarClient(broker),
      admin: new MemoryPulsarAdmin(broker),
      ...{ region, clock, chance: seededChance(2) },
      logger: createLogger({ part: "test", level: "silent" }),
    }),
  );
}

/** And over a real Pulsar, in a namespace of its own. */
export async function openPulsarServerDeliveries(
  server: PulsarAddress,
  wish: ServerStoreWish = {},
): Promise<DeliveryStoreFixture> {
  return deliveriesOf(await serverStores(server, wish));
}

async function deliveriesOf(open: () => PulsarStore): Promise<DeliveryStoreFixture> {
  let store = open();
  await store.part.start();
  return {
    store: store.deliveries,
    async reopen() {
      await store.part.stop(deadline());
      store = open();
      await store.part.start();
      return store.deliveries;
    },
    close: () => store.part.stop(deadline()),
  };
}
