import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger, SimulatedClock } from "@fleetmesh/core";
import { openMemoryStore, openSqliteStore } from "@fleetmesh/cloud-runtime";
import type { DeliveryStoreFixture } from "./delivery-store.contract.ts";
import type { EventStoreFixture } from "./event-store-probe.ts";

export interface StoreFixture {
  readonly events: () => Promise<EventStoreFixture>;
  readonly deliveries: () => Promise<DeliveryStoreFixture>;
}

const region = "cn-east";
const directWindow = 100;
const retentionMs = 60_000;
const retention = () => ({ retentionMs, retentionBytes: 1_000_000 });
const deadline = (): AbortSignal => AbortSignal.timeout(5_000);

const timeOf = (clock: SimulatedClock) => ({
  nowMs: () => clock.wallMs(),
  pass: (ms: number) => clock.advance(ms),
});

export const memoryFixture: StoreFixture = {
  async events() {
    const clock = new SimulatedClock();
    const { events } = openMemoryStore({ region, clock, directWindow, retention });
    await events.start();
    const reopen = async () => {
      await events.stop();
      await events.start();
      return events;
    };
    const limits = { region, directWindow, retentionMs };
    return { store: events, ...limits, ...timeOf(clock), reopen, close: () => events.stop() };
  },
  async deliveries() {
    const { deliveries } = openMemoryStore({ region, clock: new SimulatedClock() });
    await deliveries.start();
    const reopen = async () => {
      await deliveries.stop();
      await deliveries.start();
      return deliveries;
    };
    return { store: deliveries, reopen, close: () => deliveries.stop() };
  },
};

async function openSqlite() {
  const dir = await mkdtemp(join(tmpdir(), "fleetmesh-store-"));
  const clock = new SimulatedClock();
  const logger = createLogger({ part: "test", level: "silent" });
  const options = { dir, region, clock, directWindow, retention, logger };
  let store = openSqliteStore(options);
  await store.part.start();
  const reopen = async () => {
    await store.part.stop(deadline());
    store = openSqliteStore(options);
    await store.part.start();
    return store;
  };
  const close = async () => {
    await store.part.stop(deadline());
    await rm(dir, { recursive: true });
  };
  return { store, clock, reopen, close };
}

export const sqliteFixture: StoreFixture = {
  async events() {
    const { store, clock, reopen, close } = await openSqlite();
    const limits = { region, directWindow, retentionMs };
    const reopenEvents = async () => (await reopen()).events;
    return { store: store.events, ...limits, ...timeOf(clock), reopen: reopenEvents, close };
  },
  async deliveries() {
    const { store, reopen, close } = await openSqlite();
    return { store: store.deliveries, reopen: async () => (await reopen()).deliveries, close };
  },
};
