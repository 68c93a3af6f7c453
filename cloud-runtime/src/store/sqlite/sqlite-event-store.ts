import {
  BlockReader,
  classOfRank,
  MeshError,
  type BlockEntry,
  type EventClass,
} from "@fleetmesh/core";
import type {
  AgentAppend,
  AgentReceipt,
  DirectAppend,
  DirectReceipt,
  EventStore,
  KnownWatermark,
  Origin,
  Page,
  Position,
  ReadLimit,
  RejectedRecord,
  ReplicatedAppend,
  StoredEvent,
  StoreLedger,
  TopicBounds,
} from "../event-store.ts";
import { idHash } from "../shared/event-identity.ts";
import { hasGrown } from "../shared/has-grown.ts";
import { PageCollector } from "../shared/page-collector.ts";
import { ordinalAfter, positionOf } from "../shared/topic-position.ts";
import { originsOf } from "./block-origin.ts";
import { packAgent, packDirect, packReplicated } from "./block-packer.ts";
import type { StoreEngine } from "./store-engine.ts";
import type { StoreResult } from "./store-op.ts";
import type { BlockRow, LedgerRows } from "./store-question.ts";

const foundCountMax = 100;

/** The region's event store on SQLite. Encodes once on the caller's thread; decisions and fsync are the writer thread's. */
export class SqliteEventStore implements EventStore {
  readonly name = "event store (sqlite)";
  readonly #engine: StoreEngine;
  readonly #region: string;
  /** Damaged blocks that the ledger has, by topic and ordinal: a reader that comes again costs no commit. */
  readonly #countedDamage = new Set<string>();

  constructor(engine: StoreEngine) {
    this.#engine = engine;
    this.#region = engine.options.region;
  }

  start(): Promise<void> {
    return this.#engine.start();
  }

  stop(deadline: AbortSignal): Promise<void> {
    return this.#engine.stop(deadline);
  }

  async appendFromAgent(append: AgentAppend): Promise<AgentReceipt> {
    const { op, topics, bytes } = packAgent(append);
    const result = expect(await this.#engine.submit(op, bytes), "agent");
    const { agentId, epoch, eventClass } = append;
    const origin = { region: this.#region, agentId, epoch, eventClass };
    const grown: string[] = [];
    for (const { topic, first, skipped } of result.stored) {
      const entries = topics.find((packed) => packed.topic === topic)?.entries ?? [];
      this.#keep(topic, first, { entries: entries.slice(skipped), originOf: () => origin });
      grown.push(topic);
    }
    this.#engine.watchers.tell(grown);
    return { outcome: result.outcome, watermark: result.watermark };
  }

  async appendDirect(append: DirectAppend): Promise<DirectReceipt> {
    if (append.events.length === 0) return { stored: 0 };
    const { op, topics, bytes } = packDirect(append);
    const { first, kept } = expect(await this.#engine.submit(op, bytes), "direct");
    const all = topics[0]?.entries ?? [];
    const entries = kept.length === all.length ? all : kept.map((at) => all[at] as BlockEntry);
    const origin = { region: this.#region };
    if (kept.length > 0) {
      this.#keep(append.topic, first, { entries, originOf: () => origin });
      this.#engine.watchers.tell([append.topic]);
    }
    return { stored: kept.length };
  }

  async appendReplicated(append: ReplicatedAppend): Promise<{ readonly cursor: Position }> {
    const { op, topics, bytes } = packReplicated(append);
    const { first } = expect(await this.#engine.submit(op, bytes), "replicated");
    const entries = topics[0]?.entries ?? [];
    if (entries.length > 0) {
      const originOf = (index: number): Origin => {
        const given = append.entries[index];
        return { ...(given?.origin ?? { region: append.originRegion }), position: given?.position };
      };
      this.#keep(append.topic, first, { entries, originOf });
      this.#engine.watchers.tell([append.topic]);
    }
    return { cursor: append.cursorAfter };
  }

  async watermarks(
    agentId: string,
    epoch: string,
  ): Promise<Partial<Record<EventClass, KnownWatermark>>> {
    const known: Partial<Record<EventClass, KnownWatermark>> = {};
    for (const { rank, watermark } of await this.#engine.ask("watermarks", { agentId, epoch })) {
      const eventClass = classOfRank(rank);
      if (eventClass !== undefined) known[eventClass] = watermark;
    }
    return known;
  }

  replicationCursor(originRegion: string, topic: string): Promise<Position | undefined> {
    return this.#engine.ask("link", { region: originRegion, topic });
  }

  async read(topic: string, after: Position, limit: ReadLimit): Promise<Page> {
    this.#engine.assertOpen();
    const from = ordinalAfter(topic, after, this.#engine.ends.of(topic));
    const page = new PageCollector(limit);
    if (from === this.#engine.ends.of(topic).stored) return { events: [], next: positionOf(from) };
    if (this.#engine.tail.read(topic, from, page))
      return { events: page.events, next: positionOf(from + page.events.length) };
    const rows = await this.#engine.ask("blocks", { topic, after: from, ...limit });
    return this.#pageOf(topic, { from, rows, page, countMax: limit.countMax });
  }

  async bounds(topic: string): Promise<TopicBounds> {
    this.#engine.assertOpen();
    const { stored, trimmed } = this.#engine.ends.of(topic);
    const [earliest, latest] = [positionOf(trimmed), positionOf(stored)];
    return Promise.resolve({ earliest, latest, stored, trimmed });
  }

  async positionAt(topic: string, timeMs: number): Promise<Position> {
    return positionOf(await this.#engine.ask("positionAt", { topic, timeMs }));
  }

  async topics(): Promise<string[]> {
    this.#engine.assertOpen();
    return Promise.resolve(this.#engine.ends.names().sort());
  }

  async find(id: string, source?: string): Promise<StoredEvent[]> {
    const ask = { id, hash: idHash(id), source, limit: foundCountMax };
    const found: StoredEvent[] = [];
    for (const { row, indexes } of await this.#engine.ask("find", ask)) {
      const block = new BlockReader(row.body);
      const originOf = originsOf(row.meta, this.#region);
      for (const index of indexes) {
        const entry = block.entry(index);
        const position = positionOf(row.first + index);
        found.push({ position, topic: row.topic, origin: originOf(index), entry });
      }
    }
    return found.slice(0, foundCountMax);
  }

  async rejected(limit: number): Promise<RejectedRecord[]> {
    const rows = await this.#engine.ask("rejected", { limit });
    return rows.map(({ atMs, code, reason, meta, entry }) => ({
      ...{ atMs, code, reason, origin: originsOf(meta, this.#region)(0) },
      entry: new BlockReader(entry).entry(0),
    }));
  }

  async ledger(): Promise<StoreLedger> {
    return ledgerOf(await this.#engine.ask("ledger", undefined));
  }

  onAppended(listener: (topics: readonly string[]) => void): () => void {
    return this.#engine.watchers.add(listener);
  }

  trim(nowMs: number): Promise<void> {
    return this.#engine.trim(nowMs);
  }

  async remove(topic: string, last: Position): Promise<string | undefined> {
    this.#engine.assertOpen();
    const { ends } = this.#engine;
    const through = ordinalAfter(topic, last, ends.of(topic));
    if (through > 0) await this.#engine.trimThrough(topic, through);
    const { stored, trimmed } = ends.of(topic);
    return stored === trimmed ? undefined : hasGrown;
  }

  #keep(
    topic: string,
    first: number,
    { entries, originOf }: { entries: readonly BlockEntry[]; originOf: (index: number) => Origin },
  ): void {
    let bytes = 0;
    for (const { event } of entries) bytes += 256 + (event.data?.length ?? 0);
    this.#engine.tail.add({ topic, first, entries, originOf, bytes });
    this.#engine.ends.grow(topic, first + entries.length - 1);
  }

  async #pageOf(topic: string, { from, rows, page, countMax }: BlocksRead): Promise<Page> {
    // Retention may have passed the position since the check: what is gone must be said, never skipped in silence.
    const { trimmed, stored } = this.#engine.ends.of(topic);
    const gone = Math.max(trimmed, (rows[0]?.first ?? 0) - 1);
    ordinalAfter(topic, positionOf(from), { trimmed: gone, stored });
    let last = from;
    for (const row of rows) {
      const end = row.first + row.count - 1;
      if (end <= last) continue;
      const block = this.#readable(topic, row);
      if (!block) {
        if (page.events.length > 0) break;
        return this.#damagedPage(row, { from: last, to: Math.min(end, last + countMax) });
      }
      for (let index = Math.max(0, last + 1 - row.first); index < row.count; index += 1) {
        if (!page.add(row.first + index, block.entry(index), block.originOf(index)))
          return { events: page.events, next: positionOf(row.first + index - 1) };
      }
      last = end;
    }
    return { events: page.events, next: positionOf(last) };
  }

  /** A block that does not read back is passed over: one bad sector must not end a topic for all its readers. */
  #readable(topic: string, row: BlockRow): StoredBlockReader | undefined {
    try {
      const block = new BlockReader(row.body);
      if (block.count !== row.count)
        throw new MeshError(
          "BLOCK_DAMAGED",
          `${block.count} events where ${row.count} were stored`,
        );
      const originOf = originsOf(row.meta, this.#region);
      return { entry: (index) => block.entry(index), originOf };
    } catch (error) {
      if (!MeshError.is(error, "BLOCK_DAMAGED")) throw error;
      const facts = { topic, first: row.first, count: row.count, err: error };
      if (!this.#countedDamage.has(`${topic}/${row.first}`))
        this.#engine.options.logger.error(facts, "A stored block is damaged and is passed over.");
      return undefined;
    }
  }

  /** Nobody reads past damage before the ledger has it durably. */
  async #damagedPage(row: BlockRow, range: { from: number; to: number }): Promise<Page> {
    const { topic, first, count } = row;
    const known = `${topic}/${first}`;
    if (!this.#countedDamage.has(known)) {
      await this.#engine.submit({ kind: "damaged", topic, first, count }, 64);
      this.#countedDamage.add(known);
    }
    const damaged: Position[] = [];
    for (let at = range.from + 1; at <= range.to; at += 1) damaged.push(positionOf(at));
    return { events: [], damaged, next: positionOf(range.to) };
  }
}

interface BlocksRead {
  readonly from: number;
  readonly rows: readonly BlockRow[];
  readonly page: PageCollector;
  readonly countMax: number;
}

interface StoredBlockReader {
  readonly entry: (index: number) => BlockEntry;
  readonly originOf: (index: number) => Origin;
}

function expect<Kind extends StoreResult["kind"]>(
  result: StoreResult,
  kind: Kind,
): Extract<StoreResult, { kind: Kind }> {
  if (result.kind === kind) return result as Extract<StoreResult, { kind: Kind }>;
  throw new MeshError("INTERNAL", `The writer answered "${result.kind}" to "${kind}"`);
}

function ledgerOf({ topics, counters }: LedgerRows): StoreLedger {
  const at = (name: string): number => counters[name] ?? 0;
  const byName: Record<string, StoreLedger["topics"][string]> = {};
  for (const { name, ...counts } of topics) byName[name] = counts;
  return {
    topics: byName,
    duplicates: {
      agents: at("duplicates.agents"),
      direct: at("duplicates.direct"),
      replicated: at("duplicates.replicated"),
    },
    rejected: at("rejected"),
    gaps: {
      evicted: at("gaps.evicted"),
      expired: at("gaps.expired"),
      damaged: at("gaps.damaged"),
    },
  };
}
