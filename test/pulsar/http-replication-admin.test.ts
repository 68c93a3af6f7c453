import { systemChance, systemClock } from "@fleetmesh/core";
import {
  BinaryPulsarClient,
  HttpPulsarAdmin,
  HttpReplicationAdmin,
  type MessageId,
  type PulsarProducer,
  type PulsarReader,
} from "@fleetmesh/pulsar";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  limits,
  read,
  sendAll,
  textOf,
  texts,
  topic,
  whole,
} from "../contract/pulsar-client-probe.ts";
import { pulsarPairAddress, type PulsarPairAddress } from "../servers/pulsar-pair.ts";
import { adminCall, type PulsarAddress } from "../servers/pulsar-server.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";

/** One side in a namespace of its own: topics stay at home until they are told otherwise. */
class Side {
  readonly server: PulsarAddress;
  readonly tenant: string;
  readonly admin: HttpPulsarAdmin;
  readonly replication: HttpReplicationAdmin;
  readonly client: BinaryPulsarClient;

  constructor(server: PulsarAddress, tenant: string) {
    this.server = server;
    this.tenant = tenant;
    const at = { tenant, namespace: "mesh", clock: systemClock, chance: systemChance };
    this.admin = new HttpPulsarAdmin({ url: server.webUrl, ...at });
    this.replication = new HttpReplicationAdmin({ url: server.webUrl, ...at });
    this.client = new BinaryPulsarClient({ url: server.brokerUrl, ...at });
  }

  async prepare(others: readonly string[]): Promise<void> {
    await this.admin.ensureNamespace([this.server.cluster]);
    await this.replication.ensureHome(this.server.cluster, others);
    await this.admin.ensureTopic(topic, {});
  }

  producer(): Promise<PulsarProducer> {
    return this.client.producer(topic, limits);
  }

  reader(): Promise<PulsarReader> {
    return this.client.reader(topic, whole);
  }

  async close(): Promise<void> {
    await this.client.stop(AbortSignal.timeout(5_000));
    await Promise.all([this.admin.close(), this.replication.close()]);
  }
}

const shortly = (): AbortSignal => AbortSignal.timeout(1_500);
const waiting = { timeout: 20_000, interval: 100 };

describe.skipIf(sharedPulsarMissing() !== undefined)("replication between two clusters", () => {
  let pair: PulsarPairAddress;
  beforeAll(async () => {
    pair = await pulsarPairAddress();
  });
  afterAll(async () => pair.close());

  async function sides(run: (east: Side, west: Side) => Promise<void>): Promise<void> {
    const tenant = `t-${systemChance.hex64()}`;
    const [east, west] = [new Side(pair.east, tenant), new Side(pair.west, tenant)];
    try {
      await Promise.all([east.prepare(["cn-west"]), west.prepare(["cn-east"])]);
      await run(east, west);
    } finally {
      await Promise.all([east.close(), west.close()]);
    }
  }

  it("begins exactly where it is told, also with what is published before it is set, in order and once", async () => {
    await sides(async (east, west) => {
      const producer = await east.producer();
      const ids = await sendAll(producer, texts("before", 5));
      await east.replication.prepare(topic, "cn-west", ids[4] as MessageId);
      await sendAll(producer, texts("between", 5));
      await east.replication.setClusters(topic, ["cn-east", "cn-west"]);
      await sendAll(producer, texts("after", 5));
      const found = (await read(await west.reader(), 10)).map(textOf);
      expect(found).toEqual([...texts("between", 5), ...texts("after", 5)]);
      expect(await east.replication.clusters(topic)).toEqual(["cn-east", "cn-west"]);
    });
  });

  it("begins with the whole batch of which a part is wanted, and not with one of which nothing is", async () => {
    await sides(async (east, west) => {
      const producer = await east.producer();
      await sendAll(producer, texts("a", 3));
      const ids = await sendAll(producer, texts("b", 3));
      await sendAll(producer, texts("c", 3));
      await east.replication.prepare(topic, "cn-west", ids[1] as MessageId);
      await east.replication.setClusters(topic, ["cn-east", "cn-west"]);
      const reader = await west.reader();
      expect((await read(reader, 6)).map(textOf)).toEqual([...texts("b", 3), ...texts("c", 3)]);
    });
  });

  it("begins at the oldest, keeps its place when it is prepared again, and goes on where it was told after its end", async () => {
    await sides(async (east, west) => {
      const { replication } = east;
      const producer = await east.producer();
      await sendAll(producer, texts("a", 3));
      await replication.prepare(topic, "cn-west", "earliest");
      await replication.setClusters(topic, ["cn-east", "cn-west"]);
      const reader = await west.reader();
      expect((await read(reader, 3)).map(textOf)).toEqual(texts("a", 3));
      await replication.prepare(topic, "cn-west", "earliest");
      const place = await vi.waitFor(async () => {
        const [found] = await replication.replicators(topic);
        expect(found).toMatchObject({ cluster: "cn-west", isConnected: true, backlog: 0 });
        expect(found?.place?.entry).toBe(0);
        return found?.place as MessageId;
      }, waiting);
      expect(await replication.lagMs(topic, "cn-west")).toBe(0);

      await replication.setClusters(topic, []);
      await replication.forget(topic, "cn-west");
      await replication.forget(topic, "cn-west");
      await vi.waitFor(
        async () => expect(await replication.replicators(topic)).toEqual([]),
        waiting,
      );
      expect(await replication.clusters(topic)).toEqual([]);
      await sendAll(producer, texts("b", 3));
      expect(await reader.next(1, shortly())).toEqual([]);

      await replication.prepare(topic, "cn-west", place);
      await replication.setClusters(topic, ["cn-east", "cn-west"]);
      expect((await read(reader, 3)).map(textOf)).toEqual(texts("b", 3));
    });
  });

  it("knows when a broker has lost the place between two steps", async () => {
    await sides(async (east) => {
      const { replication, server, tenant } = east;
      await sendAll(await east.producer(), texts("a", 3));
      await replication.prepare(topic, "cn-west", "earliest");
      await adminCall(server, "PUT", `persistent/${tenant}/mesh/${topic}/unload`);
      await vi.waitFor(
        async () => expect(await replication.replicators(topic)).toEqual([]),
        waiting,
      );
      await replication.setClusters(topic, ["cn-east", "cn-west"]);
      expect(await replication.isHeld(topic, "cn-west")).toBe(false);
      await replication.setClusters(topic, []);
      await replication.forget(topic, "cn-west");
      await replication.prepare(topic, "cn-west", "earliest");
      await replication.setClusters(topic, ["cn-east", "cn-west"]);
      expect(await replication.isHeld(topic, "cn-west")).toBe(true);
    });
  });

  it("never brings a message back where it came from, with every cluster replicating to every other", async () => {
    await sides(async (east, west) => {
      for (const side of [east, west]) {
        const other = side === east ? "cn-west" : "cn-east";
        await side.replication.prepare(topic, other, "earliest");
        await side.replication.setClusters(topic, ["cn-east", "cn-west"]);
      }
      await sendAll(await east.producer(), texts("east", 50));
      await sendAll(await west.producer(), texts("west", 50));
      const all = [...texts("east", 50), ...texts("west", 50)].sort();
      for (const side of [east, west]) {
        const reader = await side.reader();
        expect((await read(reader, 100)).map(textOf).sort()).toEqual(all);
        expect(await reader.next(1, shortly())).toEqual([]);
        await vi.waitFor(async () => {
          const [replicator] = await side.replication.replicators(topic);
          expect(replicator?.backlog).toBe(0);
        }, waiting);
      }
    });
  });

  it("tells how far a cluster is behind that cannot be reached", async () => {
    await sides(async (east) => {
      const { replication } = east;
      const nobody = `nobody-${systemChance.hex64()}`;
      const address = { adminUrl: "http://127.0.0.1:1", brokerUrl: "pulsar://127.0.0.1:1" };
      expect(await replication.ensureCluster(nobody, address)).toBe(true);
      expect(await replication.ensureCluster(nobody, address)).toBe(false);
      const moved = { ...address, brokerUrl: "pulsar://127.0.0.1:2" };
      expect(await replication.ensureCluster(nobody, moved)).toBe(true);
      expect(await replication.ensureHome("cn-east", [nobody])).toBe(true);
      expect(await replication.ensureHome("cn-east", [nobody])).toBe(false);
      await replication.prepare(topic, nobody, "earliest");
      await replication.setClusters(topic, ["cn-east", nobody]);
      await sendAll(await east.producer(), texts("x", 4));
      await vi.waitFor(async () => {
        const [replicator] = await replication.replicators(topic);
        // The four are one batch.
        expect(replicator).toMatchObject({ cluster: nobody, isConnected: false, backlog: 1 });
        expect(await replication.lagMs(topic, nobody)).toBeGreaterThanOrEqual(1_000);
      }, waiting);
      await replication.setClusters(topic, []);
      await replication.forget(topic, nobody);
      await adminCall(east.server, "DELETE", `clusters/${nobody}`);
    });
  });

  it("keeps notes with a topic, one beside the other, and knows no topic that is not there", async () => {
    await sides(async ({ replication }) => {
      await replication.setNote(topic, "one", "1.2");
      await replication.setNote(topic, "two", "3.4");
      expect(await replication.note(topic, "one")).toBe("1.2");
      expect(await replication.note(topic, "two")).toBe("3.4");
      expect(await replication.note(topic, "three")).toBeUndefined();
      const unknown = { kind: "TOPIC_UNKNOWN" };
      await expect(replication.clusters("nowhere")).rejects.toMatchObject(unknown);
      await expect(replication.replicators("nowhere")).rejects.toMatchObject(unknown);
    });
  });
});
