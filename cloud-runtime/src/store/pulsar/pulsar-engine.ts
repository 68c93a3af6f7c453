import { MeshError, type Timer } from "@fleetmesh/core";
import { formatMessageId } from "@fleetmesh/pulsar";
import type {
  AgentAppend,
  AgentReceipt,
  DirectAppend,
  DirectReceipt,
  Position,
  RejectedRecord,
  ReplicatedAppend,
} from "../event-store.ts";
import type { Retention, RetentionOf } from "../shared/retention.ts";
import type { WatchList } from "../shared/watch-list.ts";
import { aborting } from "./aborting.ts";
import { AgentStreams } from "./agent-streams.ts";
import { askTopic } from "./audit/audit-message.ts";
import { ReplicationAudit } from "./audit/replication-audit.ts";
import { CatchUp } from "./catch-up.ts";
import { eventMessageBytesMax } from "./dead-letter-topics.ts";
import { DeliveryLog } from "./delivery-log.ts";
import { DirectAppends } from "./direct-appends.ts";
import { FoldState } from "./fold-state.ts";
import { journalTopic, rejectedOf } from "./journal.ts";
import { GroupExchange } from "./group-exchange.ts";
import { LinkAppends } from "./link-appends.ts";
import { LogWriter } from "./log-writer.ts";
import { placeBefore } from "./message-place.ts";
import type { RecordBounds } from "./record-list.ts";
import { RegionTopics } from "./region-topics.ts";
import type { SettledLetters } from "./settled-letters.ts";
import { StateLog } from "./state-log.ts";
import { stopping, type StorePorts } from "./store-ports.ts";
import type { Tenure } from "./tenure.ts";
import { TopicLog } from "./topic-log.ts";
import { topicPolicy } from "./topic-policy.ts";
import type { TopicState } from "./topic-state.ts";

export interface EngineOptions extends StorePorts {
  readonly region: string;
  /** Told to who finds the fence taken; names the producers. The same for every node of the region. */
  readonly name: string;
  readonly directWindow: number;
  readonly retention: RetentionOf;
  readonly tailBytesMax: number;
  readonly bytesInHandMax: number;
  readonly sendTimeoutMs: number;
  readonly sessions: number;
  readonly catchUpReadersMax: number;
  readonly flushMs: number;
  /** Between two seals of a topic that other regions get. Milliseconds, as the grace for what comes late. */
  readonly auditMs: number;
  readonly auditGraceMs: number;
  readonly watchers: WatchList;
  readonly bounds: RecordBounds;
  readonly settledLetters: SettledLetters;
  readonly tenure: Tenure;
  readonly compactionBytes: number | undefined;
}

const journalRetention: Retention = {
  retentionMs: 7 * 24 * 3_600_000,
  retentionBytes: 4 * 1024 ** 3,
};
const askRetention: Retention = { retentionMs: 24 * 3_600_000, retentionBytes: 64 * 1024 ** 2 };

/**
 * The store between one taking of the fence and its loss. Everything in it is what the logs have said; when the fence is lost it
 * is thrown away, and whoever takes the fence next reads the same.
 */
export class PulsarEngine {
  readonly state: FoldState;
  readonly topics: RegionTopics;
  readonly agents: AgentStreams;
  readonly links: LinkAppends;
  readonly deliveries: DeliveryLog;
  readonly groups: GroupExchange;
  readonly #options: EngineOptions;
  readonly #stateLog: StateLog;
  readonly #directs: DirectAppends;
  readonly #journal: TopicLog;
  readonly #asks: TopicLog;
  readonly #audit: ReplicationAudit;
  readonly #writer: LogWriter;
  readonly #catchUp: CatchUp;
  readonly #inHand = new Set<Promise<unknown>>();
  #isOpen = false;
  #flushing: Promise<void> | undefined;
  #timer: Timer | undefined;

  constructor(options: EngineOptions) {
    const { region, client, watchers, logger, bytesInHandMax } = options;
    this.#options = options;
    this.state = new FoldState(options);
    this.#stateLog = new StateLog({
      ...options,
      ...{ topic: "_mesh.state", fenceTopic: "_mesh.fence" },
      valueOf: (key) => this.state.valueOf(key),
    });
    this.#catchUp = new CatchUp(options, options.catchUpReadersMax);
    this.topics = this.#createTopics();
    // Smaller than what the client takes, by what an event gets when it becomes a dead letter.
    const messageBytesMax = eventMessageBytesMax(client.messageBytesMax);
    this.#writer = new LogWriter({ watchers, logger, messageBytesMax, bytesInHandMax });
    this.#journal = this.#journalLog();
    this.#asks = this.#askLog();
    this.#audit = this.#createAudit();
    this.deliveries = new DeliveryLog(options);
    const { state, topics } = this;
    const regionsOf = (topic: string) => topics.audited.get(topic)?.numbers.regions ?? [];
    this.groups = new GroupExchange({ region, state, topics: topics.all, regionsOf });
    const parts = {
      ...{ region, writer: this.#writer, journal: this.#journal },
      logOf: (name: string) => topics.topic(name).log,
      wallMs: () => options.clock.wallMs(),
    };
    const { streams, identities, foreignIdentities, links } = this.state;
    this.agents = new AgentStreams({
      ...parts,
      folded: streams,
      onRepeats: this.#repeats("agents"),
    });
    this.#directs = new DirectAppends({
      ...{ ...parts, folded: identities, foreign: foreignIdentities },
      onRepeats: this.#repeats("direct"),
    });
    const onLinkRepeats = this.#repeats("replicated");
    this.links = new LinkAppends({
      ...{ ...parts, folded: links },
      onRepeats: (topic, count) => onLinkRepeats(Array<string>(count).fill(topic), count),
    });
  }

  /** Resolves, with the reason, when another node may own the store: `kill` this one. */
  get lost(): Promise<Error> {
    return this.#stateLog.lost;
  }

  states(): TopicState[] {
    return [...this.state.topics.values()];
  }

  /** Takes the fence, reads the state, and folds everything to its end. */
  async open(signal: AbortSignal): Promise<void> {
    const { admin } = this.#options;
    await this.#stateLog.open((record) => this.state.restore(record), signal);
    this.state.finishRestore();
    await this.deliveries.open(signal);
    await admin.ensureTopic(journalTopic, topicPolicy(journalRetention));
    await admin.ensureTopic(askTopic, topicPolicy(askRetention));
    this.#journal.follow();
    this.#asks.follow();
    await this.topics.refresh();
    await aborting(Promise.all(this.#logs().map((log) => log.foldToEnd())), signal);
    await aborting(this.topics.missTrimmed(), signal);
    this.#isOpen = true;
    this.#schedule();
    this.#audit.start();
  }

  assertOpen(): void {
    if (!this.#isOpen) throw stopping();
  }

  appendFromAgent(append: AgentAppend): Promise<AgentReceipt> {
    return this.#take(() => this.agents.append(append));
  }

  appendDirect(append: DirectAppend): Promise<DirectReceipt> {
    return this.#take(() => this.#directs.append(append));
  }

  appendReplicated(append: ReplicatedAppend): Promise<{ readonly cursor: string }> {
    return this.#take(() => this.links.append(append));
  }

  /** What was answered before, of any topic, is folded. Throws STORE_UNAVAILABLE when that takes too long. */
  async readable(): Promise<void> {
    await Promise.all(this.#logs().map((log) => log.readable()));
  }

  /** Newest first. */
  async rejected(limit: number): Promise<RejectedRecord[]> {
    await this.#journal.readable();
    const ids = this.state.rejected.all.slice(-limit);
    const [first, until] = [ids[0], ids.at(-1)];
    if (!first || !until) return [];
    const records: RejectedRecord[] = [];
    // Repetitions lie between them.
    const wanted = new Set(ids.map(formatMessageId));
    const scan = { topic: journalTopic, after: placeBefore(first), until };
    await this.#catchUp.scan(scan, (message) => {
      const isWanted = wanted.has(formatMessageId(message.id));
      const record = isWanted ? rejectedOf(message, this.#options.region) : undefined;
      if (record) records.push(record);
      return true;
    });
    return records.reverse();
  }

  /** Others may write to the topic from now on. */
  async admit(name: string): Promise<void> {
    await this.topics.topic(name).log.admit();
  }

  /** See EventStore. */
  remove(name: string, last: Position): Promise<string | undefined> {
    this.assertOpen();
    return this.topics.remove(name, last, () => Promise.allSettled(this.#inHand));
  }

  /** Finishes what is in hand and leaves a state that covers all of it, unless the deadline passes first. */
  async close(deadline: AbortSignal): Promise<void> {
    this.#isOpen = false;
    await aborting(this.#finish(), deadline).catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, "Not everything was folded before the stop.");
    });
    await this.kill(deadline.aborted ? undefined : () => this.#flush());
  }

  /** Ends everything. What was answered is in the logs. */
  async kill(beforeRelease?: () => Promise<void>): Promise<void> {
    this.#isOpen = false;
    this.#timer?.cancel();
    const parts = [this.#audit, ...this.#logs(), this.#catchUp];
    await Promise.all(parts.map((part) => part.stop()));
    await this.deliveries.close();
    await this.#flushing;
    await beforeRelease?.();
    await this.#stateLog.close();
  }

  #logs(): TopicLog[] {
    return [this.#journal, this.#asks, ...this.topics.logs];
  }

  async #finish(): Promise<void> {
    await Promise.allSettled([...this.#inHand, this.deliveries.idle()]);
    await Promise.all(this.#logs().map((log) => log.reach(log.acknowledged)));
  }

  async #take<Answer>(append: () => Promise<Answer>): Promise<Answer> {
    this.assertOpen();
    const answer = append();
    this.#inHand.add(answer);
    try {
      return await answer;
    } finally {
      this.#inHand.delete(answer);
    }
  }

  #schedule(): void {
    this.#timer = this.#options.clock.setTimer(this.#options.flushMs, () => {
      void this.#flush().finally(() => {
        if (this.#isOpen) this.#schedule();
      });
    });
  }

  /** What is folded by now is covered by the state. Never rejects: what could not be written is written later. */
  #flush(): Promise<void> {
    this.#flushing ??= this.#write().finally(() => (this.#flushing = undefined));
    return this.#flushing;
  }

  async #write(): Promise<void> {
    this.agents.sweep();
    this.#directs.sweep();
    this.links.sweep();
    const changes = this.state.takeChanges();
    try {
      await this.#stateLog.write(changes);
    } catch (error) {
      this.state.putBack(changes);
      if (!MeshError.is(error) || !error.retryable)
        this.#options.logger.error({ err: error }, "The store's state was not written.");
    }
  }

  #createTopics(): RegionTopics {
    return new RegionTopics({
      ...{ ...this.#options, state: this.state, catchUp: this.#catchUp },
      logOptions: (state) => this.#logOptions(state),
      readRegions: (topic) => this.#audit.readRegions(topic),
      onGrown: ({ log, state }) => {
        if (this.#isOpen) this.#writer.folded(log, state.lastEvent);
      },
    });
  }

  #journalLog(): TopicLog {
    return new TopicLog({
      ...this.#logOptions(this.state.journal),
      policy: () => topicPolicy(journalRetention),
      fold: (messages) => {
        for (const message of messages) this.state.foldJournal(message);
      },
    });
  }

  #askLog(): TopicLog {
    const { asks, audit } = this.state;
    return new TopicLog({
      ...this.#logOptions(asks),
      policy: () => topicPolicy(askRetention),
      fold: (messages) => {
        for (const message of messages) {
          asks.pass(message.id);
          const ask = audit.askOf(message);
          if (ask) this.#audit.asked(ask);
        }
      },
    });
  }

  #createAudit(): ReplicationAudit {
    const { auditMs: sealEveryMs, auditGraceMs: graceMs } = this.#options;
    return new ReplicationAudit({
      ...{ ...this.#options, sealEveryMs, graceMs, askLog: this.#asks, catchUp: this.#catchUp },
      state: this.state.audit,
      topics: () => this.topics.audited.values(),
      topicOf: (name) => this.topics.audited.get(name),
    });
  }

  #logOptions(state: TopicState) {
    const { name, sessions, bytesInHandMax, sendTimeoutMs } = this.#options;
    // The store's own bound comes first, so that a producer never refuses one message in the middle of many.
    const bytesInFlightMax = 4 * bytesInHandMax;
    const ports = this.#options;
    return { ports, state, producerName: name, sessions, bytesInFlightMax, sendTimeoutMs };
  }

  #repeats(publishers: "agents" | "direct" | "replicated") {
    return (topics: readonly string[], count: number): void => {
      this.state.counters.duplicate(publishers, count);
      for (const topic of topics) this.state.topic(topic).repeat(1);
    };
  }
}
