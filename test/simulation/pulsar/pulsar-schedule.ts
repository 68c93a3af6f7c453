import type { StoredEvent, StoreLedger } from "@fleetmesh/cloud-runtime";
import { randomFault } from "./broker-faults.ts";
import { PulsarWorld, region, topics } from "./pulsar-world.ts";
import { fateOf, SimulatedAgent } from "./simulated-agent.ts";
import { SimulatedLink } from "./simulated-link.ts";
import { SimulatedPublisher } from "./simulated-publisher.ts";
import { SimulatedReader } from "./simulated-reader.ts";

const stepCount = 40;

/** One run of a region's store under faults, held against what its publishers know. */
export class PulsarSchedule {
  readonly #world: PulsarWorld;
  readonly #agents: SimulatedAgent[];
  readonly #publishers: SimulatedPublisher[];
  readonly #link: SimulatedLink;
  readonly #readers: SimulatedReader[];

  constructor(seed: number) {
    const world = new PulsarWorld(seed);
    this.#world = world;
    this.#agents = ["car-1", "car-22", "car-333"].map((id) => new SimulatedAgent(world, id));
    this.#publishers = topics
      .slice(0, 2)
      .map((of, at) => new SimulatedPublisher(world, `p${at}`, of));
    this.#link = new SimulatedLink(world, topics[2]);
    this.#readers = topics.map((topic) => new SimulatedReader(world, topic));
  }

  async run(): Promise<void> {
    const world = this.#world;
    await world.during("the first start", world.start());
    for (let step = 0; step < stepCount; step += 1) {
      this.#work(true);
      await world.clock.advance(world.below(60));
      if (world.is(0.2)) await randomFault(world);
    }
    await this.#untilDone();
    await this.#check("after the faults");
    await world.reopen();
    await this.#check("after a restart");
    await world.crash();
    await this.#check("after a crash");
    await world.end();
  }

  #work(isMaking: boolean): void {
    const world = this.#world;
    for (const agent of this.#agents) {
      if (isMaking && world.is(0.5)) agent.make(world.below(12));
      agent.pump();
    }
    for (const publisher of this.#publishers)
      if (isMaking && world.is(0.3)) publisher.publish(1 + world.below(4));
    if (isMaking && world.is(0.4)) this.#link.make(world.below(6));
    this.#link.pump();
    for (const reader of this.#readers) if (world.is(0.7)) reader.pump();
  }

  async #untilDone(): Promise<void> {
    const parts = [...this.#agents, ...this.#publishers, this.#link];
    for (let round = 0; round < 3_000; round += 1) {
      if (parts.every(({ isDone }) => isDone)) break;
      this.#work(false);
      await this.#world.clock.advance(50);
    }
    const late = parts.filter(({ isDone }) => !isDone).length;
    if (late > 0) throw new Error(`${late} publishers are not done after 150 s without faults`);
    for (let round = 0; round < 300; round += 1) {
      this.#work(false);
      await this.#world.clock.advance(20);
    }
  }

  async #check(when: string): Promise<void> {
    const world = this.#world;
    const ledger = await world.during("the ledger", world.store.ledger());
    for (const reader of this.#readers) {
      const events = await this.#readAll(reader.topic);
      same(`${reader.topic} ${when}`, idsOf(events).sort(), this.#expected(reader.topic).sort());
      same(`the reader of ${reader.topic} ${when}`, idsOf(reader.events), idsOf(events));
      this.#checkOrder(events);
      checkCounts(reader.topic, events, ledger);
    }
    for (const agent of this.#agents) await this.#checkWatermark(agent, when);
    const fates = this.#agents.flatMap(({ made }) =>
      Array.from({ length: made }, (_, at) => fateOf(at + 1)),
    );
    const count = (fate: string): number => fates.filter((one) => one === fate).length;
    same(`gaps ${when}`, ledger.gaps.evicted, count("evicted"));
    same(`rejections ${when}`, ledger.rejected, count("rejected"));
    const rejected = await world.during("the rejected", world.store.rejected(1_000));
    same(`kept rejections ${when}`, rejected.length, count("rejected"));
  }

  async #checkWatermark(agent: SimulatedAgent, when: string): Promise<void> {
    const { made, agentId, epoch } = agent;
    const asked = this.#world.store.watermarks(agentId, epoch);
    const { normal } = await this.#world.during("a watermark", asked);
    const { prints, ...known } = normal ?? { prints: [] };
    const fates = Array.from({ length: made }, (_, at) => fateOf(at + 1));
    const count = (fate: string): number => fates.filter((one) => one === fate).length;
    const expected = {
      ...{ sequence: made, stored: count("event"), rejected: count("rejected") },
      ...{ evicted: count("evicted"), expired: 0, damaged: 0 },
    };
    if (made > 0) same(`the watermark of ${agentId} ${when}`, known, expected);
    same(`the prints of ${agentId} ${when}`, prints.length, Math.min(8, made));
  }

  async #readAll(topic: string): Promise<StoredEvent[]> {
    const events: StoredEvent[] = [];
    for (let at = "earliest"; ;) {
      const limit = { countMax: 50, bytesMax: 1e6 };
      const asked = this.#world.store.read(topic, at, limit);
      const { events: more, next } = await this.#world.during("a read", asked);
      if (next === at || more.length === 0) return events;
      events.push(...more);
      at = next;
    }
  }

  #expected(topic: string): string[] {
    const ids = this.#publishers.filter((of) => of.topic === topic).flatMap(({ taken }) => taken);
    for (const agent of this.#agents)
      for (let sequence = 1; sequence <= agent.made; sequence += 1)
        if (fateOf(sequence) === "event" && agent.topicOf(sequence) === topic)
          ids.push(`${agent.agentId}-${sequence}`);
    if (this.#link.topic === topic)
      for (let number = 1; number <= this.#link.made; number += 1) ids.push(`far-${number}`);
    return ids;
  }

  #checkOrder(events: readonly StoredEvent[]): void {
    for (const { agentId } of this.#agents) {
      const own = events.filter(({ origin }) => origin.agentId === agentId);
      const numbers = own.map(({ entry }) => entry.sequence);
      const ordered = [...numbers].sort((left, right) => left - right);
      same(`the order of ${agentId}`, numbers, ordered);
    }
    const far = events.filter(({ origin }) => origin.region === "far");
    const numbers = far.map(({ entry }) => Number(entry.event.id.slice(4)));
    same(
      "the order of the link",
      numbers,
      [...numbers].sort((left, right) => left - right),
    );
  }
}

function checkCounts(topic: string, events: readonly StoredEvent[], ledger: StoreLedger): void {
  const own = (one: StoredEvent): boolean => one.origin.region === region;
  const fromAgents = events.filter((one) => own(one) && one.origin.agentId !== undefined).length;
  const replicated = events.filter((one) => !own(one)).length;
  const direct = events.length - fromAgents - replicated;
  const counts = { ...ledger.topics[topic], duplicates: 0 };
  const stored = { stored: events.length, readable: events.length };
  const expected = { fromAgents, direct, replicated, ...stored, trimmed: 0, damaged: 0 };
  if (events.length > 0) same(`the ledger of ${topic}`, counts, { ...expected, duplicates: 0 });
}

function idsOf(events: readonly StoredEvent[]): string[] {
  return events.map(({ entry }) => entry.event.id);
}

function same(what: string, found: unknown, expected: unknown): void {
  const [left, right] = [canonical(found), canonical(expected)];
  if (left === right) return;
  if (!Array.isArray(found) || !Array.isArray(expected))
    throw new Error(`${what}: found ${left} for ${right}`);
  const [more, less] = [without(found, expected), without(expected, found)];
  throw new Error(
    `${what}: ${found.length} for ${expected.length}; too many ${more}; missing ${less}`,
  );
}

function without(list: readonly unknown[], other: readonly unknown[]): string {
  const left = [...other];
  return JSON.stringify(
    list.filter((item) => {
      const at = left.indexOf(item);
      if (at >= 0) left.splice(at, 1);
      return at < 0;
    }),
  ).slice(0, 300);
}

function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return JSON.stringify(value);
  return JSON.stringify(
    Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))),
  );
}
