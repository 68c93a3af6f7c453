import {
  emptyWatermark,
  MeshError,
  type BlockEntry,
  type Clock,
  type EventClass,
  type MeshEvent,
  type Timer,
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
import { progressOf, spansOf, type Progress } from "../shared/agent-progress.ts";
import { grownTail, tailOf } from "../shared/agent-tail.ts";
import { DirectWindow } from "../shared/direct-window.ts";
import { directIdentity } from "../shared/event-identity.ts";
import { newestStoredMs, RetentionClock } from "../shared/retention-clock.ts";
import { hasGrown } from "../shared/has-grown.ts";
import { trimEveryMs, type RetentionOf } from "../shared/retention.ts";
import { WatchList } from "../shared/watch-list.ts";
import type { MemoryCommits } from "./memory-commits.ts";
import { MemoryTopic } from "./memory-topic.ts";

const rejectedCountMax = 10_000;
const foundCountMax = 100;

export interface MemoryEventStoreOptions {
  readonly region: string;
  readonly clock: Clock;
  readonly directWindow: number;
  readonly retention: RetentionOf;
  readonly onFailure: (error: unknown) => void;
}

/** The event store in this process's memory: deterministic, for simulations and tests. Durable means: survives `crash()`. */
export class MemoryEventStore implements EventStore {
  readonly name = "event store (memory)";
  readonly #commits: MemoryCommits;
  readonly #options: MemoryEventStoreOptions;
  readonly #watchers: WatchList;
  readonly #topics = new Map<string, MemoryTopic>();
  readonly #watermarks = new Map<string, KnownWatermark>();
  readonly #links = new Map<string, Position>();
  readonly #window: DirectWindow;
  readonly #duplicates = { agents: 0, direct: 0, replicated: 0 };
  readonly #gaps = { evicted: 0, expired: 0, damaged: 0 };
  #rejected: RejectedRecord[] = [];
  #rejectedCount = 0;
  #order = 0;
  #trimTimer: Timer | undefined;

  constructor(commits: MemoryCommits, options: MemoryEventStoreOptions) {
    this.#commits = commits;
    this.#options = options;
    this.#window = new DirectWindow(options.directWindow);
    this.#watchers = new WatchList(options.onFailure);
  }

  async start(): Promise<void> {
    this.#commits.open();
    const newestMs = newestStoredMs(this.#topics.values());
    const time = new RetentionClock(this.#options.clock, newestMs);
    this.#scheduleTrim(time);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#trimTimer?.cancel();
    this.#commits.close();
    return Promise.resolve();
  }

  /** What died with the process: timers and whoever listened. */
  crashed(): void {
    this.#trimTimer?.cancel();
    this.#watchers.clear();
  }

  /** A store over other commits with what is durable now. Not started. */
  copy(commits: MemoryCommits): MemoryEventStore {
    const copy = new MemoryEventStore(commits, this.#options);
    for (const [name, topic] of this.#topics) copy.#topics.set(name, topic.copy());
    for (const [key, watermark] of this.#watermarks) copy.#watermarks.set(key, watermark);
    for (const [key, cursor] of this.#links) copy.#links.set(key, cursor);
    copy.#window.adopt(this.#window);
    Object.assign(copy.#duplicates, this.#duplicates);
    Object.assign(copy.#gaps, this.#gaps);
    copy.#rejected = [...this.#rejected];
    copy.#rejectedCount = this.#rejectedCount;
    copy.#order = this.#order;
    return copy;
  }

  async appendFromAgent(append: AgentAppend): Promise<AgentReceipt> {
    const spans = spansOf(append);
    const key = watermarkKey(append.agentId, append.epoch, append.eventClass);
    return this.#commits.submit(() => {
      const { prints, ...known } = this.#watermarks.get(key) ?? { ...emptyWatermark, prints: [] };
      const progress = progressOf(known, spans);
      this.#duplicates.agents += progress.duplicates;
      if (progress.duplicates > 0) this.#countRepeats(append, progress.known);
      if (progress.outcome === "stored") {
        const added = progress.watermark.sequence - progress.known;
        const tail = grownTail(prints, tailOf(append), added);
        this.#watermarks.set(key, { ...progress.watermark, prints: tail });
        this.#storeRuns(append, progress);
      }
      return { outcome: progress.outcome, watermark: progress.watermark };
    });
  }

  async appendDirect(append: DirectAppend): Promise<DirectReceipt> {
    const { topic, receivedMs, events } = append;
    const identities = events.map((event) => identityTexts(directIdentity(topic, event)));
    return this.#commits.submit(() => {
      const fresh = this.#window.judge(identities);
      this.#duplicates.direct += events.length - fresh.length;
      const { counts } = this.#topic(topic);
      counts.direct += fresh.length;
      counts.duplicates += events.length - fresh.length;
      const origin = { region: this.#options.region };
      for (const index of fresh) {
        this.#window.remember(...(identities[index] as Identity));
        this.#add({ topic, sequence: 0, receivedMs, event: events[index] as MeshEvent }, origin);
      }
      this.#window.shrink();
      this.#watchers.tell(fresh.length > 0 ? [topic] : []);
      return { stored: fresh.length };
    });
  }

  async appendReplicated(append: ReplicatedAppend): Promise<{ readonly cursor: Position }> {
    const key = `${append.originRegion}\n${append.topic}`;
    return this.#commits.submit(() => {
      const cursor = this.#links.get(key);
      if (cursor !== append.cursorBefore) {
        if (cursor === append.cursorAfter) {
          this.#duplicates.replicated += append.entries.length;
          this.#topic(append.topic).counts.duplicates += append.entries.length;
        }
        throw new MeshError("LINK_BEHIND", `The cursor of ${append.topic} is elsewhere`, {
          details: { cursor },
        });
      }
      this.#links.set(key, append.cursorAfter);
      this.#topic(append.topic).counts.replicated += append.entries.length;
      for (const { position, entry, origin } of append.entries)
        this.#add({ ...entry, topic: append.topic }, { ...origin, position });
      this.#watchers.tell(append.entries.length > 0 ? [append.topic] : []);
      return { cursor: append.cursorAfter };
    });
  }

  async watermarks(
    agentId: string,
    epoch: string,
  ): Promise<Partial<Record<EventClass, KnownWatermark>>> {
    return this.#ask(() => {
      const known: Partial<Record<EventClass, KnownWatermark>> = {};
      for (const eventClass of ["critical", "normal", "bulk"] as const) {
        const watermark = this.#watermarks.get(watermarkKey(agentId, epoch, eventClass));
        if (watermark) known[eventClass] = watermark;
      }
      return known;
    });
  }

  async replicationCursor(originRegion: string, topic: string): Promise<Position | undefined> {
    return this.#ask(() => this.#links.get(`${originRegion}\n${topic}`));
  }

  async read(topic: string, after: Position, limit: ReadLimit): Promise<Page> {
    return this.#ask(() => this.#known(topic).read(after, limit));
  }

  async bounds(topic: string): Promise<TopicBounds> {
    return this.#ask(() => this.#known(topic).bounds());
  }

  async positionAt(topic: string, timeMs: number): Promise<Position> {
    return this.#ask(() => this.#known(topic).positionAt(timeMs));
  }

  async topics(): Promise<string[]> {
    return this.#ask(() => [...this.#topics.keys()].sort());
  }

  async find(id: string, source?: string): Promise<StoredEvent[]> {
    return this.#ask(() => {
      const found = [...this.#topics.values()].flatMap((topic) => topic.find(id, source));
      found.sort((a, b) => b.order - a.order);
      return found.slice(0, foundCountMax).map(({ event }) => event);
    });
  }

  async rejected(limit: number): Promise<RejectedRecord[]> {
    return this.#ask(() => this.#rejected.slice(-limit).reverse());
  }

  async ledger(): Promise<StoreLedger> {
    return this.#ask(() => {
      const topics: Record<string, StoreLedger["topics"][string]> = {};
      for (const [name, { counts, stored, trimmed }] of this.#topics)
        topics[name] = { ...counts, stored, trimmed, damaged: 0, readable: stored - trimmed };
      const { duplicates, gaps } = { duplicates: this.#duplicates, gaps: this.#gaps };
      const rejected = this.#rejectedCount;
      return { topics, duplicates: { ...duplicates }, rejected, gaps: { ...gaps } };
    });
  }

  onAppended(listener: (topics: readonly string[]) => void): () => void {
    return this.#watchers.add(listener);
  }

  async trim(nowMs: number): Promise<void> {
    return this.#commits.submit(() => {
      for (const [name, topic] of this.#topics) topic.trim(nowMs, this.#options.retention(name));
    });
  }

  async remove(topic: string, last: Position): Promise<string | undefined> {
    return this.#commits.submit(() => {
      const isGone = this.#known(topic).trimThrough(last);
      return isGone ? undefined : hasGrown;
    });
  }

  #storeRuns({ agentId, epoch, eventClass, runs }: AgentAppend, progress: Progress): void {
    const origin = { region: this.#options.region, agentId, epoch, eventClass };
    const grown = new Set<string>();
    for (const run of runs) {
      if (run.kind === "events") {
        for (const entry of run.entries) {
          if (entry.sequence <= progress.known) continue;
          this.#topic(entry.topic).counts.fromAgents += 1;
          this.#add(entry, origin);
          grown.add(entry.topic);
        }
      } else if (run.kind === "rejected" && run.entry.sequence > progress.known) {
        const { entry, code, reason } = run;
        this.#reject({ atMs: this.#options.clock.wallMs(), origin, entry, code, reason });
      }
    }
    for (const reason of ["evicted", "expired", "damaged"] as const)
      this.#gaps[reason] += progress.added[reason];
    this.#watchers.tell([...grown]);
  }

  #countRepeats({ runs }: AgentAppend, known: number): void {
    for (const run of runs) {
      if (run.kind !== "events") continue;
      for (const { topic, sequence } of run.entries) {
        if (sequence <= known) this.#topic(topic).counts.duplicates += 1;
      }
    }
  }

  #reject(record: RejectedRecord): void {
    this.#rejectedCount += 1;
    this.#rejected.push(record);
    if (this.#rejected.length > 2 * rejectedCountMax)
      this.#rejected = this.#rejected.slice(-rejectedCountMax);
  }

  #add(entry: BlockEntry, origin: Origin): void {
    this.#order += 1;
    const arrival = { nowMs: this.#options.clock.wallMs(), order: this.#order };
    this.#topic(entry.topic).append(entry, origin, arrival);
  }

  #topic(name: string): MemoryTopic {
    const topic = this.#topics.get(name) ?? new MemoryTopic(name);
    this.#topics.set(name, topic);
    return topic;
  }

  /** For reading: a topic that nothing was stored in is empty, and stays unknown. */
  #known(name: string): MemoryTopic {
    return this.#topics.get(name) ?? new MemoryTopic(name);
  }

  #ask<Answer>(question: () => Answer): Promise<Answer> {
    return new Promise((resolve) => {
      this.#commits.assertOpen();
      resolve(question());
    });
  }

  #scheduleTrim(time: RetentionClock): void {
    this.#trimTimer?.cancel();
    this.#trimTimer = this.#options.clock.setTimer(trimEveryMs, () => {
      this.trim(time.nowMs()).catch(this.#options.onFailure);
      this.#scheduleTrim(time);
    });
  }
}

type Identity = readonly [key: string, digest: string];

function identityTexts(identity: Buffer): Identity {
  return [identity.toString("latin1", 0, 16), identity.toString("latin1", 16)];
}

function watermarkKey(agentId: string, epoch: string, eventClass: EventClass): string {
  return `${eventClass}\n${epoch}\n${agentId}`;
}
