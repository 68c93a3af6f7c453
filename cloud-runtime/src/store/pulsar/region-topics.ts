import { isTopic, MeshError, type Clock } from "@fleetmesh/core";
import {
  parseMessageId,
  type MessageId,
  type PulsarAdmin,
  type ReceivedMessage,
} from "@fleetmesh/pulsar";
import type { Position } from "../event-store.ts";
import type { RetentionOf } from "../shared/retention.ts";
import type { AuditedTopic } from "./audit/replication-audit.ts";
import { RunNumbers } from "./audit/run-numbers.ts";
import type { CatchUp } from "./catch-up.ts";
import { EventSearch } from "./event-search.ts";
import type { FoldState } from "./fold-state.ts";
import { PageCache } from "./page-cache.ts";
import { RegionTopic } from "./region-topic.ts";
import { TopicLog, type TopicLogOptions } from "./topic-log.ts";
import { topicPolicy } from "./topic-policy.ts";
import type { TopicState } from "./topic-state.ts";
import { TailBudget, TopicTail } from "./topic-tail.ts";

export interface RegionTopicsOptions {
  readonly region: string;
  readonly admin: PulsarAdmin;
  readonly clock: Clock;
  readonly state: FoldState;
  readonly catchUp: CatchUp;
  readonly retention: RetentionOf;
  readonly tailBytesMax: number;
  /** What all logs of the engine have in common. */
  readonly logOptions: (state: TopicState) => Omit<TopicLogOptions, "policy" | "fold">;
  /** Resolves when it is known where the topic goes, as far as it can be now. */
  readonly readRegions: (topic: AuditedTopic) => Promise<void>;
  /** Events of the topic were folded. */
  readonly onGrown: (topic: RegionTopic) => void;
}

const idleMs = 600_000;
const indexedIdsMax = 100_000;
const pagesKeptMax = 8;

/** The mesh's topics in one engine: made when they are first used, followed from then on, and taken away. */
export class RegionTopics {
  readonly search: EventSearch;
  readonly #options: RegionTopicsOptions;
  readonly #topics = new Map<string, RegionTopic>();
  readonly #audited = new Map<string, AuditedTopic>();
  readonly #budget: TailBudget;
  readonly #pages = new PageCache(pagesKeptMax);
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: RegionTopicsOptions) {
    this.#options = options;
    this.#budget = new TailBudget(options.tailBytesMax);
    this.search = new EventSearch(this.#topics, indexedIdsMax);
  }

  get all(): ReadonlyMap<string, RegionTopic> {
    return this.#topics;
  }

  get audited(): ReadonlyMap<string, AuditedTopic> {
    return this.#audited;
  }

  get logs(): TopicLog[] {
    return [...this.#topics.values()].map(({ log }) => log);
  }

  /** Made when nobody asked for it before; not followed until it is there. */
  topic(name: string): RegionTopic {
    return this.#topics.get(name) ?? this.#create(name);
  }

  /** Topics of the mesh that Pulsar has and nobody here has used yet: other producers' too. */
  refresh(): Promise<void> {
    return this.#inTurn(async () => {
      for (const name of await this.#options.admin.topics())
        if (isTopic(name)) this.topic(name).log.follow();
    });
  }

  /**
   * The broker keeps longer than we do, unless somebody has told it otherwise: what it has taken is counted as trimmed. Of a topic that
   * it does not have any more, all: who reads it finds nothing more, at the place where it ended.
   */
  async missTrimmed(): Promise<void> {
    const states = [...this.#options.state.topics.values()];
    await Promise.all(states.map((state) => this.#missTrimmedOf(state)));
    for (const { topic } of states) this.topic(topic);
  }

  trim(nowMs: number): void {
    const { retention } = this.#options;
    for (const [name, { state, log }] of this.#topics) {
      state.trim(nowMs, retention(name));
      log.closeIdle(idleMs);
    }
  }

  /**
   * See EventStore. A topic that goes to other regions stays: they may not have all of it yet. `whenIdle` resolves when nothing
   * that was begun before is on its way any more.
   */
  remove(name: string, last: Position, whenIdle: () => Promise<unknown>) {
    return this.#inTurn(async (): Promise<string | undefined> => {
      const { log, state } = this.topic(name);
      const regions = await this.#regionsOf(name);
      if (regions && regions.length > 0) return `it goes to ${regions.join(", ")}`;
      const why = regions && (await removed(log, parseMessageId(last), whenIdle));
      if (why === undefined) state.trimAll();
      return why;
    });
  }

  /** Other regions to which the topic goes; undefined when there is no such topic. */
  async #regionsOf(topic: string): Promise<readonly string[] | undefined> {
    const { admin, region } = this.#options;
    const regions = await whereItIs(admin.replicatedTo(topic));
    return regions?.filter((other) => other !== region);
  }

  async #missTrimmedOf(state: TopicState): Promise<void> {
    if (state.segments.all.length === 0) return;
    const oldest = await whereItIs(this.#options.admin.messageIdAt(state.topic, 0));
    if (oldest) state.trimBefore(oldest);
    else state.trimAll();
  }

  #create(name: string): RegionTopic {
    const { region, clock, state: fold, catchUp, retention, readRegions } = this.#options;
    const state = fold.topic(name);
    const numbers = new RunNumbers({
      ...{ region, outbound: fold.audit.outbound(name), wallMs: () => clock.wallMs() },
      onUnknown: (count) => fold.counters.meetUnknownRegions(count),
    });
    const log: TopicLog = new TopicLog({
      ...this.#options.logOptions(state),
      policy: () => topicPolicy(retention(name)),
      fold: (messages) => this.#fold(topic, messages),
      numbers,
      readRegions: () => readRegions({ log, numbers }),
    });
    this.#audited.set(name, { log, numbers });
    const tail = new TopicTail(this.#budget, state.lastEvent);
    const topic = new RegionTopic({ region, log, tail, catchUp, pages: this.#pages });
    this.#topics.set(name, topic);
    this.search.follow(topic);
    return topic;
  }

  #fold(topic: RegionTopic, messages: readonly ReceivedMessage[]): void {
    let isGrown = false;
    for (const message of messages) {
      const stored = this.#options.state.fold(topic.state, message);
      if (!stored) continue;
      const event = { id: message.id, publishedMs: message.publishedMs, stored };
      topic.tail.add(event);
      this.search.add(topic, event);
      isGrown = true;
    }
    if (isGrown) this.#options.onGrown(topic);
  }

  /** What topics there are is asked and changed by one at a time. */
  #inTurn<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(change);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

/** A log that stays is followed again. */
async function removed(
  log: TopicLog,
  last: MessageId,
  whenIdle: () => Promise<unknown>,
): Promise<string | undefined> {
  log.leave();
  await whenIdle();
  const why = await log.remove(last).catch((error: unknown) => {
    log.follow();
    throw error;
  });
  if (why !== undefined) log.follow();
  return why;
}

/** Undefined of a topic that is not there, too. */
async function whereItIs<Answer>(asked: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (MeshError.is(error, "TOPIC_UNKNOWN")) return undefined;
    throw error;
  }
}
