import { createLogger, seededChance, SimulatedClock } from "@fleetmesh/core";
import { MemoryBroker, MemoryPulsarAdmin, MemoryPulsarClient } from "@fleetmesh/pulsar";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Dispatcher } from "../../cloud-runtime/src/delivery/dispatcher.ts";
import { booksOf } from "../../cloud-runtime/src/delivery/subscription-status.ts";
import { MemoryMetadata } from "../../cloud-runtime/src/metadata/memory-metadata.ts";
import { openPulsarStore, type PulsarStore } from "../../cloud-runtime/src/store/pulsar-store.ts";
import { MemoryTarget } from "../../cloud-runtime/src/target/memory-target.ts";
import { sampleEvent, sampleSubscription } from "../../cloud-runtime/test/subscription-samples.ts";

const topic = "vehicle.telemetry";
const soon = (): AbortSignal => AbortSignal.timeout(5_000);

interface Node {
  readonly store: PulsarStore;
  readonly dispatcher: Dispatcher;
  /** What its target took, in order. */
  readonly taken: string[];
}

describe("delivery on two nodes of one region", () => {
  const clock = new SimulatedClock();
  let broker: MemoryBroker;
  const nodes: Node[] = [];

  beforeEach(() => {
    broker = new MemoryBroker({ clock, chance: seededChance(1) });
  });
  afterEach(async () => {
    for (const { dispatcher, store } of nodes.splice(0)) {
      // Only one of them has the store; the others have nothing left to write.
      await dispatcher.stop(soon()).catch(() => undefined);
      await store.part.stop(soon());
    }
  });

  const nodeOf = async (): Promise<Node> => {
    const [chance, taken] = [seededChance(2), [] as string[]];
    const logger = createLogger({ part: "test", level: "silent" });
    const metadata = new MemoryMetadata({
      autoCreateTopics: true,
      topicDefaults: { retentionMs: 1e9, retentionBytes: 1e9 },
    });
    await metadata.putSubscription(sampleSubscription());
    const store = openPulsarStore({
      ...{ client: new MemoryPulsarClient(broker), admin: new MemoryPulsarAdmin(broker) },
      ...{ region: "cn-east", clock, chance, logger, opensLater: true },
    });
    await store.part.start();
    const dispatcher = new Dispatcher({
      ...{ store: store.events, deliveries: store.deliveries, metadata, clock, chance, logger },
      createTarget: () =>
        new MemoryTarget(({ event }) => {
          taken.push(event.id);
          return { kind: "taken", status: "200" };
        }),
      registry: new Registry(),
    });
    await dispatcher.start();
    const node = { store, dispatcher, taken };
    nodes.push(node);
    return node;
  };
  const publish = async ({ store }: Node, ...ids: string[]): Promise<void> => {
    const events = ids.map((id) => sampleEvent({ id }));
    await store.events.appendDirect({ topic, receivedMs: 1, events });
    await clock.advance(2_000);
  };

  /** The fence is lost, and both are after it, until this one was lucky. */
  const handOver = async ({ store }: Node): Promise<void> => {
    while (store.absence() !== undefined) {
      broker.cut("_mesh.fence");
      const other = await new MemoryPulsarClient(broker).fence("_mesh.fence", "mesh-cn-east");
      await clock.advance(5_000);
      await other.release();
      await clock.advance(5_000);
    }
  };

  it("stops in order while the broker is away, and goes on with what it had", async () => {
    const node = await nodeOf();
    await publish(node, "e1");
    broker.setDown(true);
    const stopping = node.dispatcher.stop(soon());
    await clock.advance(60_000);
    await stopping;
    broker.setDown(false);
    nodes.splice(0);
    await node.store.part.stop(soon());
    const next = await nodeOf();
    await publish(next, "e2");
    expect(next.taken.at(-1)).toBe("e2");
  });

  it("delivers on one of them, and goes on where the other one was, there and back", async () => {
    const first = await nodeOf();
    const second = await nodeOf();
    expect(first.store.absence()).toBeUndefined();
    expect(second.store.absence()).toContain("Another node serves the store");
    await publish(first, "e1", "e2");
    expect(first.taken).toEqual(["e1", "e2"]);
    await handOver(second);
    await publish(second, "e3", "e4");
    expect(second.taken).toEqual(["e3", "e4"]);
    await handOver(first);
    await publish(first, "e5");
    expect(first.taken).toEqual(["e1", "e2", "e5"]);
    const books = await booksOf(first.dispatcher, first.store.events, sampleSubscription());
    expect(books).toMatchObject({ matchable: 5, delivered: 5, pending: 0, difference: 0 });
  });
});
