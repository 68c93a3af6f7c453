import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger, systemChance, systemClock } from "@fleetmesh/core";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Dispatcher } from "../../cloud-runtime/src/delivery/dispatcher.ts";
import { booksOf } from "../../cloud-runtime/src/delivery/subscription-status.ts";
import { FileMetadata } from "../../cloud-runtime/src/metadata/file-metadata.ts";
import { openSqliteStore, type SqliteStore } from "../../cloud-runtime/src/store/sqlite-store.ts";
import { createTargetFactory } from "../../cloud-runtime/src/target/index.ts";
import { sampleEvent, sampleSubscription } from "../../cloud-runtime/test/subscription-samples.ts";
import { DeliverySink, until } from "./delivery-sink.ts";

const logger = createLogger({ part: "test", level: "silent" });
const topic = "vehicle.telemetry";
const soon = (): AbortSignal => AbortSignal.timeout(5_000);

describe("delivery over the SQLite store", () => {
  let dir: string;
  let sink: DeliverySink;
  let store: SqliteStore;
  let metadata: FileMetadata;
  let dispatcher: Dispatcher;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "fleetmesh-delivery-"));
    sink = await new DeliverySink().start();
    await open();
  });
  afterEach(async () => {
    await close();
    await sink.stop();
    await rm(dir, { recursive: true, force: true });
  });

  async function open(): Promise<void> {
    const [clock, chance] = [systemClock, systemChance];
    metadata = new FileMetadata({ path: join(dir, "metadata.journal"), autoCreateTopics: true });
    await metadata.start();
    store = openSqliteStore({ dir: join(dir, "store"), region: "cn-east", logger });
    await store.part.start();
    dispatcher = new Dispatcher({
      store: store.events,
      deliveries: store.deliveries,
      metadata,
      createTarget: createTargetFactory({ clock, chance, allowPrivateSinks: true }),
      clock,
      chance,
      logger,
      registry: new Registry(),
    });
    await dispatcher.start();
  }

  async function close(): Promise<void> {
    await dispatcher.stop(soon());
    await store.part.stop(soon());
    await metadata.stop();
  }

  it("goes on exactly where it was after an orderly restart, failing keys and all", async () => {
    let failing = true;
    sink.answer = ({ id }, response) => {
      response.writeHead(failing && id.startsWith("k3-") ? 503 : 200).end();
    };
    const base = sampleSubscription({ sink: sink.url });
    const delivery = { ...base.delivery, maxAttempts: 100 };
    await metadata.putSubscription({ ...base, delivery });
    const events = Array.from({ length: 400 }, (_, at) =>
      sampleEvent({ id: `k${at % 8}-${at}`, subject: `k${at % 8}` }),
    );
    await store.events.appendDirect({ topic, receivedMs: Date.now(), events });
    await until(() => new Set(sink.ids).size === 351);
    const healthy = sink.ids.filter((id) => !id.startsWith("k3-")).length;
    await close();
    failing = false;
    await open();
    const kept = metadata.subscription("s1") ?? base;
    await until(async () => (await booksOf(dispatcher, store.events, kept)).delivered === 400);
    expect(sink.ids.filter((id) => !id.startsWith("k3-"))).toHaveLength(healthy);
    const third = [...new Set(sink.ids.filter((id) => id.startsWith("k3-")))];
    expect(third).toEqual(events.map(({ id }) => id).filter((id) => id.startsWith("k3-")));
    expect(await booksOf(dispatcher, store.events, kept)).toMatchObject({
      matchable: 400,
      pending: 0,
      difference: 0,
    });
  });
});
