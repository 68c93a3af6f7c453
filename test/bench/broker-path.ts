import { sleep, systemChance, systemClock } from "@fleetmesh/core";
import {
  HttpReplicationAdmin,
  openPulsarAdmin,
  openPulsarClient,
  type PulsarClient,
  type PulsarConnection,
  type PulsarProducer,
  type PulsarReader,
} from "@fleetmesh/pulsar";

const perSecond = 1_000;
const payloadBytes = 1_024;
const ports = { clock: systemClock, chance: systemChance };
/** No topic of the mesh begins so: no runtime reads it. */
const topic = "_bench.path";
const never = new AbortController().signal;

/** What Pulsar's replication takes without a mesh: a producer at one cluster, a reader at the other. */
export class BrokerPath {
  readonly #clients: readonly PulsarClient[];
  readonly #producer: PulsarProducer;
  readonly #reader: PulsarReader;

  static async open(clusters: readonly PulsarConnection[]): Promise<BrokerPath> {
    const [east, west] = clusters;
    if (east === undefined || west === undefined) throw new Error("two clusters");
    for (const cluster of clusters)
      await openPulsarAdmin(cluster, ports).ensureTopic(topic, { retentionMs: 3_600_000 });
    await new HttpReplicationAdmin(adminOptions(east)).setClusters(topic, ["cn-east", "cn-west"]);
    const [from, to] = [openPulsarClient(east, ports), openPulsarClient(west, ports)];
    await Promise.all([from.start(), to.start()]);
    const reader = await to.reader(topic, { after: "earliest", queueMax: 10_000 });
    const producing = { bytesInFlightMax: 2 ** 26, timeoutMs: 15_000 };
    return new BrokerPath([from, to], await from.producer(topic, producing), reader);
  }

  private constructor(
    clients: readonly PulsarClient[],
    producer: PulsarProducer,
    reader: PulsarReader,
  ) {
    this.#clients = clients;
    this.#producer = producer;
    this.#reader = reader;
  }

  /** Open loop, as the mesh's own: milliseconds from when each message was to be sent until it was read, in order of size. */
  async latencies(seconds: number): Promise<number[]> {
    const count = seconds * perSecond;
    const startMs = performance.now() + 100;
    const payload = Buffer.alloc(payloadBytes, "x");
    const reading = this.#read(count);
    for (let at = 0; at < count;) {
      await sleep(systemClock, 1);
      const now = performance.now();
      for (; at < count && startMs + at <= now; at += 1) {
        const properties = { due: String(startMs + at) };
        void this.#producer.send({ payload, properties, key: String(at % 50) });
      }
    }
    return (await reading).sort((one, other) => one - other);
  }

  async close(): Promise<void> {
    await Promise.all([this.#producer.close(), this.#reader.close()]);
    const deadline = AbortSignal.timeout(5_000);
    await Promise.all(this.#clients.map((client) => client.stop(deadline)));
  }

  async #read(count: number): Promise<number[]> {
    const taken: number[] = [];
    while (taken.length < count) {
      const messages = await this.#reader.next(1_000, never);
      const now = performance.now();
      for (const { properties } of messages) taken.push(now - Number(properties["due"]));
    }
    return taken;
  }
}

function adminOptions({ adminUrl: url, tenant, namespace }: PulsarConnection) {
  return { url, tenant, namespace, clock: systemClock };
}
