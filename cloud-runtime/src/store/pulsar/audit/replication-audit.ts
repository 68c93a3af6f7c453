import { MeshError, type Clock, type Logger, type Timer } from "@fleetmesh/core";
import type { PulsarAdmin } from "@fleetmesh/pulsar";
import type { CatchUp } from "../catch-up.ts";
import type { TopicLog } from "../topic-log.ts";
import { encodeAudit, type Ask } from "./audit-message.ts";
import type { AuditState } from "./audit-state.ts";
import type { InboundTopic } from "./inbound-topic.ts";
import type { NumberRanges } from "../../shared/number-ranges.ts";
import { Repairs } from "./repairs.ts";
import type { RunNumbers } from "./run-numbers.ts";

/** One topic, as the audit works with it. */
export interface AuditedTopic {
  readonly log: TopicLog;
  readonly numbers: RunNumbers;
}

export interface ReplicationAuditOptions {
  readonly region: string;
  readonly state: AuditState;
  readonly topics: () => Iterable<AuditedTopic>;
  readonly topicOf: (name: string) => AuditedTopic | undefined;
  /** Where regions ask each other. */
  readonly askLog: TopicLog;
  readonly admin: PulsarAdmin;
  readonly catchUp: CatchUp;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Between two seals of a topic that grows. */
  readonly sealEveryMs: number;
  /** For what comes late. */
  readonly graceMs: number;
}

interface Suspicion {
  readonly sinceMs: number;
  readonly numbers: ReadonlyMap<number, NumberRanges>;
}

interface Patience {
  suspicion: Suspicion | undefined;
  nextAskMs: number;
}

interface Told {
  nextMs: number;
  count: number;
}

const publisher = "audit";
/** A topic that is at rest tells its last seal again, in case it was the seal that was lost. */
const repeatMs = [10_000, 60_000, 600_000, 3_600_000];
const regionsMaxAgeMs = 30_000;
/** Of a topic that went nowhere: what is sent before the new destination is known has no number. */
const nowhereMaxAgeMs = 5_000;
/** Topics whose policy a round asks for. */
const readsPerRound = 5;
const askMsMin = 10_000;
const askMsMax = 3_600_000;
/** Without any effect; some two days. */
const fruitlessAsksMax = 50;
const askCountMax = 10_000;
const askRangesMax = 1_000;
const asksWaitingMax = 1_000;

/**
 * The audit of replication, in rounds: seals what this region's log has, judges what other regions' seals say should have come,
 * asks for what did not, and repairs what others ask for. All that must outlive this process is in the fold's state.
 */
export class ReplicationAudit {
  readonly #options: ReplicationAuditOptions;
  readonly #repairs: Repairs;
  readonly #stopping = new AbortController();
  readonly #told = new Map<TopicLog, Told>();
  readonly #patience = new Map<InboundTopic, Patience>();
  readonly #regionsReadMs = new Map<TopicLog, number>();
  readonly #asks = new Map<string, Ask>();
  readonly #reached = new Set<string>();
  #timer: Timer | undefined;
  #round: Promise<void> = Promise.resolve();
  #repairing: Promise<void> = Promise.resolve();

  constructor(options: ReplicationAuditOptions) {
    this.#options = options;
    this.#repairs = new Repairs(options);
  }

  start(): void {
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#timer?.cancel();
    await Promise.all([this.#round, this.#repairing]);
  }

  /** Another region misses something. The newest ask of a run counts. */
  asked(ask: Ask): void {
    if (this.#asks.size < asksWaitingMax)
      this.#asks.set(`${ask.region}\n${ask.topic}\n${ask.run}`, ask);
  }

  /** Asks where the topic goes, at most every half minute. Never rejects: what was known stays. */
  async readRegions({ log, numbers }: AuditedTopic): Promise<void> {
    const { admin, clock, logger } = this.#options;
    if (!this.#isReadDue({ log, numbers })) return;
    this.#regionsReadMs.set(log, clock.monotonicMs());
    try {
      numbers.regions = await admin.replicatedTo(log.topic);
    } catch (error) {
      this.#regionsReadMs.delete(log);
      logger.debug({ err: error, topic: log.topic }, "It is not known where the topic goes.");
    }
  }

  #isReadDue({ log, numbers }: AuditedTopic): boolean {
    const maxAgeMs = numbers.regions.length === 0 ? nowhereMaxAgeMs : regionsMaxAgeMs;
    return this.#options.clock.monotonicMs() - this.#readMs(log) >= maxAgeMs;
  }

  #readMs(log: TopicLog): number {
    return this.#regionsReadMs.get(log) ?? -Infinity;
  }

  /** Topics with events that went nowhere, those first that were asked for longest ago. */
  async #readUnnumbered(): Promise<void> {
    const due = [...this.#options.topics()].filter(
      (topic) => topic.numbers.hasUnnumbered && this.#isReadDue(topic),
    );
    due.sort((left, right) => this.#readMs(left.log) - this.#readMs(right.log));
    for (const topic of due.slice(0, readsPerRound)) await this.readRegions(topic);
  }

  #schedule(): void {
    const { clock, sealEveryMs, logger } = this.#options;
    this.#timer = clock.setTimer(sealEveryMs, () => {
      this.#round = this.#runRound()
        .catch((error: unknown) => {
          logger.debug({ err: error }, "A round of the audit was left out.");
        })
        .then(() => {
          if (!this.#stopping.signal.aborted) this.#schedule();
        });
    });
  }

  async #runRound(): Promise<void> {
    await this.#readUnnumbered();
    for (const topic of this.#options.topics()) {
      if (this.#stopping.signal.aborted) return;
      await this.#seal(topic).catch((error: unknown) => this.#leftOut(topic.log, error));
    }
    for (const { topic, origin, of } of this.#options.state.inbound())
      await this.#judge(topic, origin, of);
    this.#repairing = this.#repairing.then(() => this.#repairNext());
  }

  async #seal(topic: AuditedTopic): Promise<void> {
    const { state, region, clock } = this.#options;
    const { log, numbers } = topic;
    const outbound = state.outbound(log.topic);
    const told = this.#told.get(log) ?? {
      nextMs: clock.monotonicMs() + (repeatMs[0] ?? 0),
      count: 0,
    };
    this.#told.set(log, told);
    const isDue = clock.monotonicMs() >= told.nextMs;
    if (outbound.isEmpty || !(outbound.hasUnsealed || isDue)) return;
    await this.readRegions(topic);
    outbound.reach(numbers.regions, (run) => numbers.nextOf(run));
    outbound.sweep((run) => numbers.nextOf(run) !== undefined);
    state.changed(log.topic);
    const seal = outbound.makeSeal(region);
    if (!seal) return;
    told.count = outbound.hasUnsealed ? 0 : told.count + 1;
    told.nextMs = clock.monotonicMs() + (repeatMs[told.count] ?? repeatMs.at(-1) ?? 0);
    const id = await log.send(encodeAudit({ kind: "seal", body: seal }, undefined), publisher);
    await log.reach(id);
  }

  async #judge(topic: string, origin: string, of: InboundTopic): Promise<void> {
    const { clock, state, graceMs, logger } = this.#options;
    const patience = this.#patience.get(of) ?? { suspicion: undefined, nextAskMs: 0 };
    this.#patience.set(of, patience);
    const nowMs = clock.monotonicMs();
    patience.suspicion ??= { sinceMs: nowMs, numbers: of.suspects() };
    const { sinceMs, numbers } = patience.suspicion;
    if (nowMs - sinceMs >= graceMs) {
      patience.suspicion = undefined;
      const found = of.confirm(numbers);
      if (found > 0) {
        state.changed(topic, origin);
        patience.nextAskMs = nowMs;
        const where = { topic, origin, found, missing: of.missingCount };
        logger.error(where, "Audit: events of another region are missing here.");
      }
    }
    if (of.missingCount === 0 || nowMs < patience.nextAskMs) return;
    if (of.fruitlessAsks >= fruitlessAsksMax) this.#giveUp(topic, origin, of);
    else await this.#ask({ topic, origin, of, patience });
  }

  #giveUp(topic: string, origin: string, of: InboundTopic): void {
    const { state, logger } = this.#options;
    const lost = of.missingCount;
    of.giveUp();
    state.changed(topic, origin);
    logger.error({ topic, origin, lost }, "Audit: missing events are given up.");
  }

  async #ask(of: {
    topic: string;
    origin: string;
    of: InboundTopic;
    patience: Patience;
  }): Promise<void> {
    const { topic, origin, patience } = of;
    const { region, askLog, clock, state } = this.#options;
    const delayMs = Math.min(askMsMax, askMsMin * 2 ** of.of.fruitlessAsks);
    patience.nextAskMs = clock.monotonicMs() + delayMs;
    const wanted = of.of.wanted(askCountMax, askRangesMax);
    if (wanted.length === 0) return;
    try {
      await this.#reach(origin);
      for (const { run, numbers, after } of wanted) {
        const ask = { run, numbers: numbers.toText(), after, topic, region, from: origin };
        await askLog.send(encodeAudit({ kind: "ask", body: ask }, [origin]), publisher);
      }
      of.of.fruitlessAsks += 1;
      state.changed(topic, origin);
    } catch (error) {
      this.#leftOut(askLog, error);
    }
  }

  /** The asks go to the region, too. */
  async #reach(origin: string): Promise<void> {
    const { admin, askLog, region } = this.#options;
    if (this.#reached.has(origin)) return;
    const clusters = new Set([region, ...(await admin.replicatedTo(askLog.topic)), origin]);
    await askLog.replicate([...clusters]);
    this.#reached.add(origin);
  }

  async #repairNext(): Promise<void> {
    for (const [key, ask] of this.#asks) {
      if (this.#stopping.signal.aborted) return;
      this.#asks.delete(key);
      const topic = this.#options.topicOf(ask.topic);
      if (!topic) continue;
      await this.readRegions(topic);
      if (!topic.numbers.regions.includes(ask.region)) continue;
      const outbound = this.#options.state.outbound(ask.topic);
      const asked = { ask, log: topic.log, outbound };
      await this.#repairs
        .repair(asked, this.#stopping.signal)
        .catch((error: unknown) => this.#leftOut(topic.log, error));
    }
  }

  /** What was not done now is done later: by the next round, or when it is asked for again. */
  #leftOut({ topic }: TopicLog, error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    const { logger } = this.#options;
    if (MeshError.is(error) && error.retryable)
      logger.debug({ err: error, topic }, "The audit goes on later.");
    else logger.error({ err: error, topic }, "The audit of a topic failed.");
  }
}
