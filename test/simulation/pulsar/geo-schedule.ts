import { SimulatedClock } from "@fleetmesh/core";
import type { ReplicationAccount, StoredEvent } from "@fleetmesh/cloud-runtime";
import { randomFault } from "./broker-faults.ts";
import { PulsarWorld, topics } from "./pulsar-world.ts";
import { RoamingAgent } from "./roaming-agent.ts";
import { fateOf, SimulatedAgent } from "./simulated-agent.ts";
import { SimulatedPublisher } from "./simulated-publisher.ts";
import { SimulatedReader } from "./simulated-reader.ts";
import { SimulatedReplication } from "./simulated-replication.ts";

const stepCount = 30;
const clusters = ["cn-east", "cn-west"] as const;

/** One region with its publishers and readers. */
class Side {
  readonly world: PulsarWorld;
  readonly agents: readonly SimulatedAgent[];
  readonly publishers: readonly SimulatedPublisher[];
  readonly readers: readonly SimulatedReader[];

  constructor(seed: number, cluster: string, clock: SimulatedClock) {
    const world = new PulsarWorld(seed, { region: cluster, clock, clusters });
    this.world = world;
    this.agents = [`${cluster}-car`, `${cluster}-van`].map((id) => new SimulatedAgent(world, id));
    this.publishers = topics.map(
      (of, at) => new SimulatedPublisher(world, `${cluster}-p${at}`, of),
    );
    this.readers = topics.map((topic) => new SimulatedReader(world, topic));
  }

  get isDone(): boolean {
    return [...this.agents, ...this.publishers].every(({ isDone }) => isDone);
  }

  work(isMaking: boolean): void {
    const { world } = this;
    for (const agent of this.agents) {
      if (isMaking && world.is(0.5)) agent.make(world.below(8));
      agent.pump();
    }
    for (const publisher of this.publishers)
      if (isMaking && world.is(0.2)) publisher.publish(1 + world.below(3));
    for (const reader of this.readers) reader.pump();
  }

  /** Ids that publishers of this region know as taken. */
  taken(topic: string): string[] {
    const ids = this.publishers.filter((of) => of.topic === topic).flatMap(({ taken }) => taken);
    for (const agent of this.agents)
      for (let sequence = 1; sequence <= agent.made; sequence += 1)
        if (fateOf(sequence) === "event" && agent.topicOf(sequence) === topic)
          ids.push(`${agent.agentId}-${sequence}`);
    return ids;
  }
}

/** Two regions, each replicated into the other by brokers that drop messages in silence. */
export class GeoSchedule {
  readonly #clock = new SimulatedClock();
  readonly #east: Side;
  readonly #west: Side;
  readonly #ways: readonly SimulatedReplication[];
  readonly #roamer: RoamingAgent;
  /** Events and the audit's own. */
  dropped = 0;
  repaired = 0;

  constructor(seed: number) {
    this.#east = new Side(seed * 2, clusters[0], this.#clock);
    this.#west = new Side(seed * 2 + 1, clusters[1], this.#clock);
    this.#roamer = new RoamingAgent([this.#east.world, this.#west.world], "roamer");
    const at = ({ world: { broker } }: Side, cluster: string) => ({ cluster, broker });
    const [east, west] = [at(this.#east, clusters[0]), at(this.#west, clusters[1])];
    const { chance } = this.#east.world;
    this.#ways = [
      new SimulatedReplication({ from: east, to: west, chance }),
      new SimulatedReplication({ from: west, to: east, chance }),
    ];
  }

  async run(): Promise<void> {
    const sides = [this.#east, this.#west];
    await this.#begin(sides);
    for (const way of this.#ways) way.dropProbability = 0.15;
    for (let step = 0; step < stepCount; step += 1) {
      for (const side of sides) side.work(true);
      this.#roam();
      await this.#pass(this.#east.world.below(150));
      for (const way of this.#ways) this.#disturb(way);
      for (const { world } of sides) if (world.is(0.08)) await randomFault(world);
    }
    await this.#untilDone(sides);
    for (const side of sides) await this.#check(side, "at the end");
    for (const { world } of sides) await world.crash();
    await this.#pass(15_000);
    for (const side of sides) await this.#check(side, "after a crash");
    for (const { world } of sides) await world.end();
    this.dropped = this.#ways.reduce((sum, { dropped }) => sum + dropped, 0);
  }

  async #begin(sides: readonly Side[]): Promise<void> {
    for (const { world } of sides) await world.during("the first start", world.start());
    // Each hears of the other before anything is dropped: who never heard of a region cannot miss it.
    for (const { publishers } of sides) for (const publisher of publishers) publisher.publish(1);
    void this.#roamer.move();
    await this.#pass(8_000);
  }

  #roam(): void {
    const { world } = this.#east;
    if (world.is(0.5)) this.#roamer.make(world.below(8));
    this.#roamer.pump();
    if (world.is(0.15)) void this.#roamer.move();
  }

  /** What must be in both regions. */
  #expected(topic: string): string[] {
    const taken = [this.#east, this.#west].flatMap((side) => side.taken(topic));
    return [...taken, ...this.#roamer.made(topic)];
  }

  #disturb(way: SimulatedReplication): void {
    const { world } = this.#east;
    if (world.is(0.1)) way.isStopped = !way.isStopped;
    if (world.is(0.05)) way.rewind(20);
  }

  async #untilDone(sides: readonly Side[]): Promise<void> {
    for (const way of this.#ways) way.isStopped = false;
    for (let round = 0; round < 400; round += 1) {
      // Repairs, asks and answers are dropped as well, for a while.
      if (round === 40) for (const way of this.#ways) way.dropProbability = 0;
      for (const side of sides) side.work(false);
      this.#roamer.pump();
      await this.#pass(2_000);
      if (round > 370 && [...sides, this.#roamer].every(({ isDone }) => isDone)) return;
    }
    throw new Error("publishers are not done after 800 s");
  }

  async #pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      for (const way of this.#ways) way.pump();
      await this.#clock.advance(Math.min(50, left));
    }
  }

  async #check(side: Side, when: string): Promise<void> {
    const { world } = side;
    const ledger = await world.during("the ledger", world.store.ledger());
    for (const topic of topics) {
      const events = await readAll(world, topic);
      const expected = this.#expected(topic);
      same(`${topic} ${when}`, idsOf(events), expected);
      this.repaired += events.filter(isRepaired).length;
      const accounts = Object.values(ledger.replication?.[topic] ?? {});
      for (const account of accounts) checkAccount(`${topic} ${when}`, account);
      const { fromAgents = 0, direct = 0, replicated = 0 } = ledger.topics[topic] ?? {};
      const stored = fromAgents + direct + replicated;
      if (stored !== events.length) throw new Error(`${topic} ${when}: ${stored} are counted`);
    }
    for (const reader of side.readers) {
      const expected = this.#expected(reader.topic);
      same(`the reader of ${reader.topic} ${when}`, idsOf(reader.events), expected);
      checkOrder(reader.events);
    }
  }
}

async function readAll(world: PulsarWorld, topic: string): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (let at = "earliest"; ;) {
    const asked = world.store.read(topic, at, { countMax: 50, bytesMax: 1e6 });
    const { events: more, next } = await world.during("a read", asked);
    if (next === at || more.length === 0) return events;
    events.push(...more);
    at = next;
  }
}

/** Order holds for all but what was repaired. */
function checkOrder(events: readonly StoredEvent[]): void {
  const last = new Map<string, number>();
  for (const event of events) {
    const { agentId, region } = event.origin;
    if (agentId === undefined || isRepaired(event)) continue;
    const before = last.get(`${region}/${agentId}`) ?? 0;
    if (event.entry.sequence <= before) throw new Error(`${agentId} is out of order`);
    last.set(`${region}/${agentId}`, event.entry.sequence);
  }
}

function checkAccount(what: string, account: ReplicationAccount): void {
  const { sealed, arrived, missing, lost, open, extra, differing } = account;
  const difference = sealed - arrived - account.repaired - lost - open;
  const wrong = { difference, lost, open, extra, differing, missing: missing - account.repaired };
  for (const [name, count] of Object.entries(wrong))
    if (count !== 0) throw new Error(`${what}: ${name} is ${count} in ${JSON.stringify(account)}`);
}

function isRepaired({ entry }: StoredEvent): boolean {
  return entry.event.extensions.some(([name]) => name === "meshrepaired");
}

function idsOf(events: readonly StoredEvent[]): string[] {
  return events.map(({ entry }) => entry.event.id);
}

function same(what: string, found: readonly string[], expected: readonly string[]): void {
  const missing = without(expected, found);
  const surplus = without(found, expected);
  if (missing.length + surplus.length > 0)
    throw new Error(`${what}: missing ${missing.join(" ")}; too many ${surplus.join(" ")}`);
}

function without(list: readonly string[], other: readonly string[]): string[] {
  const left = [...other];
  return list.filter((item) => {
    const at = left.indexOf(item);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}
