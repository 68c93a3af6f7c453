import {
  emptyWatermark,
  eventClasses,
  type ClassWatermark,
  type EventClass,
} from "@fleetmesh/core";
import type { StoredEvent } from "../../../cloud-runtime/src/store/event-store.ts";
import type { MemoryStore } from "../../../cloud-runtime/src/store/memory-store.ts";
import { edgeLedger } from "../../../edge-agent/src/agent/edge-ledger.ts";
import { nothingHandled } from "../../../edge-agent/src/buffer/retired-epochs.ts";
import { mapClasses, plainWatermark } from "../plain-watermark.ts";
import { forbiddenTopic, type SimulatedAgent } from "./simulated-agent.ts";

export const readAll = { countMax: 1_000_000, bytesMax: 2 ** 40 };

/** What a schedule did that changes what may be asked of its end. */
export interface Exemptions {
  /** Two agents ran with one buffer's identity: its events may be the one's or the other's. */
  readonly clones: readonly SimulatedAgent[];
  /** The region lost its newest events and went on from a backup. */
  readonly lostRanges: readonly LostRange[];
  /** Retention took events. */
  readonly isTrimming: boolean;
}

/** Sequences that the region had handled and the backup did not have. */
export interface LostRange {
  readonly agent: SimulatedAgent;
  readonly eventClass: EventClass;
  readonly above: number;
  readonly upTo: number;
}

export function same(what: string, given: unknown, wanted: unknown): void {
  const [left, right] = [JSON.stringify(given), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${what}: ${left}, wanted ${right}`);
}

function holds(what: string, isTrue: boolean): void {
  if (!isTrue) throw new Error(what);
}

export async function storedEvents(store: MemoryStore): Promise<StoredEvent[]> {
  const all: StoredEvent[] = [];
  for (const topic of await store.events.topics()) {
    const { earliest } = await store.events.bounds(topic);
    all.push(...(await store.events.read(topic, earliest, readAll)).events);
  }
  return all;
}

/** Exactly once and in order in the store, and both ledgers, for all agents. */
export class IngestInvariants {
  readonly #store: MemoryStore;
  readonly #exempt: Exemptions;
  #stored: readonly StoredEvent[] = [];

  constructor(store: MemoryStore, exempt: Exemptions) {
    this.#store = store;
    this.#exempt = exempt;
  }

  async check(agents: readonly SimulatedAgent[]): Promise<void> {
    this.#stored = await storedEvents(this.#store);
    this.#checkOrderPerKey();
    for (const agent of agents) await this.#checkAgent(agent);
    await this.#checkLedger(agents);
  }

  /** In each topic the events of one agent and class keep the order of their sequences, each once. */
  #checkOrderPerKey(): void {
    const last = new Map<string, number>();
    for (const { topic, origin, entry } of this.#stored) {
      const stream = `${topic} of ${origin.agentId ?? ""} ${origin.epoch ?? ""} ${origin.eventClass ?? ""}`;
      const before = last.get(stream) ?? 0;
      holds(`${stream}: ${entry.sequence} is stored behind ${before}`, entry.sequence > before);
      last.set(stream, entry.sequence);
    }
  }

  async #checkAgent(agent: SimulatedAgent): Promise<void> {
    const { agentId, name } = agent.identity;
    const { epoch } = agent.buffer;
    const known = await this.#store.events.watermarks(agentId, epoch);
    const watermarks = mapClasses(known, plainWatermark);
    for (const eventClass of eventClasses) {
      const watermark = watermarks[eventClass] ?? emptyWatermark;
      const at = { agent, eventClass, watermark, label: `${name} ${eventClass}` };
      const isClone = this.#exempt.clones.length > 0 && agentId === this.#cloneId();
      if (isClone) this.#checkClone(at);
      else await this.#checkClass(at);
    }
    await this.#checkEdgeLedger(agent);
  }

  #cloneId(): string | undefined {
    return this.#exempt.clones[0]?.identity.agentId;
  }

  async #checkClass(at: ClassAt): Promise<void> {
    const { agent, eventClass, watermark, label } = at;
    const { classes } = await agent.buffer.stats();
    const { produced, confirmed, queuedEvents } = classes[eventClass];
    const acknowledged = agent.produced[eventClass];
    const isRestored = this.#exempt.lostRanges.length > 0;
    same(`${label}: sequences are the acknowledged events`, produced, acknowledged.length);
    same(`${label}: the region has handled all`, watermark.sequence, produced);
    same(`${label}: nothing is queued`, queuedEvents, 0);
    if (!isRestored) same(`${label}: the agent knows what became of it`, confirmed, watermark);
    if (!isRestored) same(`${label}: nothing is lost`, watermark.damaged, 0);
    this.#checkEachSequence(at);
  }

  #checkEachSequence(at: ClassAt): void {
    const { agent, eventClass, watermark, label } = at;
    const stored = this.#storedOf(at);
    const acknowledged = agent.produced[eventClass];
    for (const [sequence, id] of stored)
      same(`${label}: event ${sequence}`, id, acknowledged[sequence - 1]?.id);
    if (this.#exempt.isTrimming) return;
    same(`${label}: as many are stored as counted`, stored.size, watermark.stored);
    const { limits } = agent.identity;
    const mayEvict = limits.whenFull === "evict-lowest-class";
    const mayExpire = limits.ttlMs?.[eventClass] !== undefined;
    let mortalCount = 0;
    acknowledged.forEach(({ id, topic, isMortal }, index) => {
      const sequence = index + 1;
      if (isMortal) mortalCount += 1;
      if (topic === forbiddenTopic)
        holds(`${label}: ${id} must not be stored`, !stored.has(sequence));
      if (stored.has(sequence) || topic === forbiddenTopic) return;
      const isExcused = mayEvict || mayExpire || isMortal || this.#isLost(at, sequence);
      holds(`${label}: acknowledged event ${sequence} (${id}) is not stored`, isExcused);
    });
    if (!mayEvict) same(`${label}: none is evicted`, watermark.evicted, 0);
    if (!mayExpire) holds(`${label}: what cannot expire expired`, watermark.expired <= mortalCount);
  }

  #isLost({ agent, eventClass }: ClassAt, sequence: number): boolean {
    return this.#exempt.lostRanges.some(
      (range) =>
        range.agent === agent &&
        range.eventClass === eventClass &&
        sequence > range.above &&
        sequence <= range.upTo,
    );
  }

  #checkClone(at: ClassAt): void {
    const { eventClass, watermark, label } = at;
    const stored = this.#storedOf(at);
    for (const [sequence, id] of stored) {
      const known = this.#exempt.clones.map(({ produced }) => produced[eventClass][sequence - 1]);
      holds(
        `${label}: ${id} is nobody's event ${sequence}`,
        known.some((one) => one?.id === id),
      );
    }
    if (!this.#exempt.isTrimming)
      same(`${label}: as many are stored as counted`, stored.size, watermark.stored);
  }

  #storedOf({ agent, eventClass }: ClassAt): Map<number, string> {
    const { agentId } = agent.identity;
    const found = new Map<number, string>();
    for (const { origin, entry } of this.#stored)
      if (origin.agentId === agentId && origin.eventClass === eventClass)
        found.set(entry.sequence, entry.event.id);
    return found;
  }

  async #checkEdgeLedger(agent: SimulatedAgent): Promise<void> {
    const { buffer, identity } = agent;
    const stats = await buffer.stats();
    const sources = [{ buffer, stats, isCurrent: true }];
    const { total } = edgeLedger(identity.agentId, { sources, retired: nothingHandled });
    same(`${identity.name}: the edge's ledger`, total.difference, 0);
  }

  async #checkLedger(agents: readonly SimulatedAgent[]): Promise<void> {
    const { topics, rejected, gaps } = await this.#store.events.ledger();
    const seen = new Map(agents.map((agent) => [agent.buffer.epoch, agent]));
    const sum = { ...emptyWatermark };
    for (const { identity, buffer } of seen.values()) {
      const of = await this.#store.events.watermarks(identity.agentId, buffer.epoch);
      for (const watermark of Object.values(of)) addTo(sum, plainWatermark(watermark));
    }
    let [fromAgents, stored] = [0, 0];
    for (const line of Object.values(topics)) {
      fromAgents += line.fromAgents;
      stored += line.stored;
    }
    const { evicted, expired, damaged } = sum;
    same(
      "the region's ledger: stored",
      { fromAgents, stored },
      { fromAgents: sum.stored, stored: sum.stored },
    );
    same("the region's ledger: rejected", rejected, sum.rejected);
    same("the region's ledger: gaps", gaps, { evicted, expired, damaged });
  }
}

interface ClassAt {
  readonly agent: SimulatedAgent;
  readonly eventClass: EventClass;
  readonly watermark: ClassWatermark;
  readonly label: string;
}

function addTo(sum: Record<keyof ClassWatermark, number>, more: ClassWatermark): void {
  for (const [name, value] of Object.entries(more))
    sum[name as keyof ClassWatermark] += value as number;
}
