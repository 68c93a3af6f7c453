import { MeshError, type Logger } from "@fleetmesh/core";
import { compareMessageIds, type MessageId, type OutgoingMessage } from "@fleetmesh/pulsar";
import type { WatchList } from "../shared/watch-list.ts";
import { journalTopic } from "./journal.ts";
import { unavailable } from "./store-ports.ts";
import type { TopicLog } from "./topic-log.ts";

/** A message and the topic it goes into. */
export interface Outgoing {
  readonly log: TopicLog;
  readonly message: OutgoingMessage;
}

/** What became of messages that were sent together. */
export interface Sent {
  /** Of those that the broker acknowledged, the last one in each topic. */
  readonly marks: ReadonlyMap<TopicLog, MessageId>;
  /** Why not all were acknowledged. */
  readonly failure: Error | undefined;
}

export interface LogWriterOptions {
  readonly watchers: WatchList;
  readonly logger: Logger;
  readonly messageBytesMax: number;
  /** Of all that is sent and not acknowledged. */
  readonly bytesInHandMax: number;
}

interface Growth {
  inHand: number;
  /** Events were folded that no listener was told of yet. */
  hasGrown: boolean;
  told: MessageId | undefined;
}

/** About what a message costs beside its text and payload. */
const headBytes = 200;

/**
 * Sends messages into the topics within one bound of bytes, and tells listeners which topics grew: once per append, before it is
 * answered; of what others stored, when it is folded.
 */
export class LogWriter {
  readonly #options: LogWriterOptions;
  readonly #growths = new Map<TopicLog, Growth>();
  #bytesInHand = 0;

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  /** Throws, before anything is sent, when the messages cannot all be taken now: STORE_UNAVAILABLE, EVENT_TOO_LARGE. */
  admit(outgoing: readonly Outgoing[], publisher: string): void {
    const { messageBytesMax, bytesInHandMax } = this.#options;
    let bytes = 0;
    for (const { message } of outgoing) {
      const size = bytesOf(message);
      if (size > messageBytesMax)
        throw new MeshError(
          "EVENT_TOO_LARGE",
          `A message of ${size} bytes; ${messageBytesMax} are possible`,
        );
      bytes += size;
    }
    if (this.#bytesInHand > 0 && this.#bytesInHand + bytes > bytesInHandMax)
      throw unavailable(`${this.#bytesInHand} bytes are on their way to Pulsar already`);
    for (const log of logsOf(outgoing)) log.assertSendable(publisher);
  }

  /** Sends all at once, in order; resolves when it is known of each whether the broker has it. Never rejects. */
  async send(outgoing: readonly Outgoing[], publisher: string): Promise<Sent> {
    let bytes = 0;
    for (const { message } of outgoing) bytes += bytesOf(message);
    this.#bytesInHand += bytes;
    const sends = outgoing.map(({ log, message }) => log.send(message, publisher));
    const results = await Promise.allSettled(sends);
    this.#bytesInHand -= bytes;
    const marks = new Map<TopicLog, MessageId>();
    let failure: Error | undefined;
    for (const [at, result] of results.entries()) {
      if (result.status === "rejected") failure ??= MeshError.from(result.reason);
      else mark(marks, (outgoing[at] as Outgoing).log, result.value);
    }
    return { marks, failure };
  }

  /** Listeners hear of the topics that the append grew when it is answered, and of no part of it before. */
  async telling<Answer>(outgoing: readonly Outgoing[], append: Promise<Answer>): Promise<Answer> {
    const logs = logsOf(outgoing);
    for (const log of logs) this.#growth(log).inHand += 1;
    try {
      const answer = await append;
      for (const log of logs) this.#growth(log).told = log.acknowledged;
      const grown = [...logs].filter(({ topic }) => topic !== journalTopic);
      for (const log of grown) this.#growth(log).hasGrown = false;
      this.#options.watchers.tell(grown.map(({ topic }) => topic));
      return answer;
    } finally {
      for (const log of logs) this.#growth(log).inHand -= 1;
      for (const log of logs) this.#tellGrown(log);
    }
  }

  /** Events were folded, the last of them this one. */
  folded(log: TopicLog, last: MessageId): void {
    const growth = this.#growth(log);
    if (growth.told && compareMessageIds(last, growth.told) <= 0) return;
    growth.hasGrown = true;
    this.#tellGrown(log);
  }

  #tellGrown(log: TopicLog): void {
    const growth = this.#growth(log);
    if (growth.inHand > 0 || !growth.hasGrown) return;
    growth.hasGrown = false;
    this.#options.watchers.tell([log.topic]);
  }

  #growth(log: TopicLog): Growth {
    const growth = this.#growths.get(log) ?? { inHand: 0, hasGrown: false, told: undefined };
    this.#growths.set(log, growth);
    return growth;
  }
}

export function mark(marks: Map<TopicLog, MessageId>, log: TopicLog, id: MessageId): void {
  const known = marks.get(log);
  if (!known || compareMessageIds(id, known) > 0) marks.set(log, id);
}

export function logsOf(outgoing: readonly Outgoing[]): ReadonlySet<TopicLog> {
  return new Set(outgoing.map(({ log }) => log));
}

function bytesOf({ payload, properties, key }: OutgoingMessage): number {
  let bytes = headBytes + payload.length + (key === undefined ? 0 : Buffer.byteLength(key));
  for (const name in properties)
    bytes += name.length + Buffer.byteLength(properties[name] ?? "") + 8;
  return bytes;
}
