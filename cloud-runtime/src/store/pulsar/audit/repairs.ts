import { MeshError, sleep, type Clock, type Logger } from "@fleetmesh/core";
import {
  compareMessageIds,
  encodeEvent,
  eventOf,
  parseMessageId,
  stampOf,
  type MessageId,
  type OutgoingMessage,
  type ReceivedMessage,
} from "@fleetmesh/pulsar";
import type { CatchUp } from "../catch-up.ts";
import { repairedExtension } from "../repaired-event.ts";
import type { TopicLog } from "../topic-log.ts";
import { parseNumber } from "../../shared/event-number.ts";
import { encodeAudit, type Ask } from "./audit-message.ts";
import { NumberRanges } from "../../shared/number-ranges.ts";
import { isFor, type OutboundTopic } from "./outbound-topic.ts";

export interface RepairsOptions {
  readonly region: string;
  readonly catchUp: CatchUp;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What an ask is about here. */
export interface Asked {
  readonly ask: Ask;
  readonly log: TopicLog;
  readonly outbound: OutboundTopic;
}

const publisher = "audit";
const batchMax = 200;
/** Between two batches: repairs take no more than so much of the way that live events need. */
const pauseMs = 500;

interface Batch {
  readonly found: ReceivedMessage[];
  /** Where to go on. */
  at: MessageId;
  isLast: boolean;
}

/** Publishes again, into one region alone, what it misses, out of this region's own log; then says what cannot be. */
export class Repairs {
  readonly #options: RepairsOptions;

  constructor(options: RepairsOptions) {
    this.#options = options;
  }

  /** Rejects when it cannot be done now: who asked asks again. */
  async repair({ ask, log, outbound }: Asked, signal: AbortSignal): Promise<void> {
    const wanted = NumberRanges.parse(ask.numbers);
    const absent = new NumberRanges();
    const highest = outbound.highest(ask.run);
    if (highest > 0) {
      const never = wanted.copy();
      never.remove(0, highest);
      absent.addAll(never);
      wanted.removeAll(never);
    }
    const lost = wanted.copy();
    let at = parseMessageId(ask.after);
    for (let isLast = wanted.isEmpty; !isLast;) {
      const batch = await this.#find(log, { at, ask, wanted });
      const messages = batch.found.flatMap((message) => copyFor(message, ask, { lost, absent }));
      await this.#publish(log, messages);
      ({ at, isLast } = batch);
      if (!isLast) await sleep(this.#options.clock, pauseMs, signal);
    }
    const { region } = this.#options;
    const body = {
      ...{ region, to: ask.region, run: ask.run, numbers: ask.numbers },
      ...{ absent: absent.toText(), lost: lost.toText() },
    };
    await this.#publish(log, [encodeAudit({ kind: "answer", body }, [ask.region])]);
    this.#options.logger.info(
      { topic: ask.topic, to: ask.region, asked: ask.numbers, lost: body.lost },
      "Events that another region missed were published again.",
    );
  }

  async #find(
    log: TopicLog,
    { at, ask, wanted }: { at: MessageId; ask: Ask; wanted: NumberRanges },
  ): Promise<Batch> {
    const batch: Batch = { found: [], at, isLast: false };
    const last = wanted.last ?? 0;
    const until = log.state.place;
    if (compareMessageIds(at, until) >= 0) return { ...batch, isLast: true };
    await this.#options.catchUp.scan({ topic: log.topic, after: at, until }, (message) => {
      if (batch.found.length >= batchMax || batch.isLast) return false;
      batch.at = message.id;
      const number = parseNumber(message.properties["meshnumber"]);
      const isIts = number?.run === ask.run && message.replicatedFrom === undefined;
      if (isIts && wanted.has(number.number)) batch.found.push(message);
      // Numbers of a run lie in their order: nothing comes behind the last.
      batch.isLast = isIts && number.number >= last;
      return true;
    });
    batch.isLast ||= compareMessageIds(batch.at, until) >= 0;
    return batch;
  }

  async #publish(log: TopicLog, messages: readonly OutgoingMessage[]): Promise<void> {
    log.assertSendable(publisher);
    const sends = messages.map((message) => log.send(message, publisher));
    for (const result of await Promise.allSettled(sends))
      if (result.status === "rejected") throw MeshError.from(result.reason);
  }
}

/** With its identity, for one region, flagged: its place among the others is lost. None when it was not for that region. */
function copyFor(
  message: ReceivedMessage,
  ask: Ask,
  left: { readonly lost: NumberRanges; readonly absent: NumberRanges },
): OutgoingMessage[] {
  const { meshnumber, ce_meshregions: regions } = message.properties;
  const { number = 0 } = parseNumber(meshnumber) ?? {};
  const [event, stamp] = [eventOf(message), stampOf(message.properties)];
  left.lost.remove(number, number);
  if (!event || !stamp || !isFor(regions, ask.region)) {
    left.absent.add(number, number);
    return [];
  }
  const extensions = [...event.extensions, [repairedExtension, true] as const];
  const repaired = encodeEvent({ ...event, extensions }, { ...stamp, repaired: meshnumber });
  return [{ ...repaired, replicateTo: [ask.region] }];
}
