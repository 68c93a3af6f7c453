import type { PulsarProducer } from "@fleetmesh/pulsar";
import { compareMessageIds, formatMessageId } from "@fleetmesh/pulsar";
import type { DeadLetter } from "../delivery-store.ts";
import { CatchUp } from "./catch-up.ts";
import { decodeLetter, encodeLetter, letterBytesMax } from "./dead-letter-message.ts";
import type { LetterPlace } from "./delivery-state.ts";
import type { IndexedLetter } from "./letter-chunk.ts";
import { placeBefore } from "./message-place.ts";
import type { StorePorts } from "./store-ports.ts";

export interface DeadLetterTopicsOptions extends StorePorts {
  /** Of the producer: the broker lets nobody else have it. */
  readonly name: string;
  readonly sendTimeoutMs: number;
  /** Dead letters after which a new topic is begun. Default 20,000. */
  readonly segmentCountMax?: number;
}

const topicPrefix = "_mesh.dead-letters-";
const segmentCountMaxDefault = 20_000;
const bytesInFlightMax = 256 * 1024 * 1024;
const readersMax = 4;
/** Messages between two wanted ones that are rather read than jumped over. */
const gapMax = 500;

/**
 * The bodies of dead letters: topics of some thousands each, numbered, so that one whose letters are all settled can be deleted.
 * A body without an entry in the index is none: its commit did not come to be.
 */
export class DeadLetterTopics {
  readonly #options: DeadLetterTopicsOptions;
  readonly #catchUp: CatchUp;
  /** Letters not settled, by topic. */
  #counts = new Map<number, number>();
  #segment = 1;
  #sentCount = 0;
  #producer: Promise<PulsarProducer> | undefined;
  #hasHadName = false;

  constructor(options: DeadLetterTopicsOptions) {
    this.#options = options;
    this.#catchUp = new CatchUp(options, readersMax);
  }

  /** @param counts the letters of the index, by topic. Topics that hold none of them any more are deleted. */
  async open(counts: Map<number, number>): Promise<void> {
    this.#counts = counts;
    const found = (await this.#options.admin.topics()).map(segmentOf);
    const segments = found.filter((segment) => segment !== undefined);
    this.#segment = Math.max(1, ...segments, ...counts.keys());
    this.#sentCount = counts.get(this.#segment) ?? 0;
    for (const segment of segments) this.#deleteWhenEmpty(segment);
  }

  /** Resolves when all are durable: where each one is. */
  async put(letters: readonly DeadLetter[]): Promise<Map<DeadLetter, LetterPlace>> {
    const places = new Map<DeadLetter, LetterPlace>();
    if (letters.length === 0) return places;
    const { segmentCountMax = segmentCountMaxDefault } = this.#options;
    if (this.#sentCount >= segmentCountMax) await this.#nextSegment();
    const segment = this.#segment;
    const producer = await this.#openProducer();
    this.#sentCount += letters.length;
    const sends = letters.map((letter) => producer.send(encodeLetter(letter)));
    const ids = await Promise.all(sends);
    for (const [at, place] of ids.entries())
      places.set(letters[at] as DeadLetter, { segment, place });
    return places;
  }

  /** In the same order, without those whose message is not there any more. Throws STORE_UNAVAILABLE. */
  async read(letters: readonly IndexedLetter[]): Promise<DeadLetter[]> {
    const found = new Map<IndexedLetter, DeadLetter>();
    for (const run of runsOf(letters)) await this.#readRun(run, found);
    return letters.map((letter) => found.get(letter)).filter((letter) => letter !== undefined);
  }

  added(segment: number): void {
    this.#counts.set(segment, (this.#counts.get(segment) ?? 0) + 1);
  }

  /** Their settling is durable: nobody will ask for them again. */
  settled(letters: readonly IndexedLetter[]): void {
    for (const { segment } of letters) {
      this.#counts.set(segment, (this.#counts.get(segment) ?? 1) - 1);
      this.#deleteWhenEmpty(segment);
    }
  }

  async close(): Promise<void> {
    await this.#catchUp.stop();
    const producer = await this.#producer?.catch(() => undefined);
    await producer?.close().catch(() => undefined);
  }

  async #readRun(run: readonly IndexedLetter[], found: Map<IndexedLetter, DeadLetter>) {
    const [first, last] = [run[0], run.at(-1)];
    if (!first || !last) return;
    const wanted = new Map(run.map((letter) => [formatMessageId(letter.place), letter]));
    const topic = topicOf(first.segment);
    const scan = { topic, after: placeBefore(first.place), until: last.place };
    await this.#catchUp.scan(scan, (message) => {
      const letter = wanted.get(formatMessageId(message.id));
      if (!letter) return true;
      const decoded = decodeLetter(message, letter);
      if (decoded) found.set(letter, decoded);
      else this.#options.logger.error({ id: letter.id, topic }, "A dead letter does not read.");
      return true;
    });
  }

  async #nextSegment(): Promise<void> {
    const [producer, full] = [await this.#producer?.catch(() => undefined), this.#segment];
    this.#producer = undefined;
    await producer?.close().catch(() => undefined);
    [this.#segment, this.#sentCount, this.#hasHadName] = [full + 1, 0, false];
    this.#deleteWhenEmpty(full);
  }

  #deleteWhenEmpty(segment: number): void {
    if (segment === this.#segment || (this.#counts.get(segment) ?? 0) > 0) return;
    const { admin, logger } = this.#options;
    const topic = topicOf(segment);
    this.#counts.delete(segment);
    this.#catchUp.leave(topic);
    admin.deleteTopic(topic).catch((error: unknown) => {
      // It only takes room; the next start tries again.
      logger.warn({ err: error, topic }, "A topic of settled dead letters was not deleted.");
    });
  }

  #openProducer(): Promise<PulsarProducer> {
    if (this.#producer) return this.#producer;
    const opening = this.#makeProducer();
    this.#producer = opening;
    const forget = (): void => {
      if (this.#producer === opening) this.#producer = undefined;
    };
    opening.then(({ ended }) => void ended.then(forget), forget);
    return opening;
  }

  async #makeProducer(): Promise<PulsarProducer> {
    const { client, admin, name, sendTimeoutMs: timeoutMs } = this.#options;
    const topic = topicOf(this.#segment);
    await admin.ensureTopic(topic, {});
    const takeOver = client.can.takeOver && !this.#hasHadName;
    const options = { name, takeOver, bytesInFlightMax, timeoutMs };
    const producer = await client.producer(topic, options);
    this.#hasHadName = true;
    return producer;
  }
}

/** What an event's message may be so that its dead letter fits, too. */
export function eventMessageBytesMax(messageBytesMax: number): number {
  return messageBytesMax - letterBytesMax;
}

function topicOf(segment: number): string {
  return `${topicPrefix}${String(segment).padStart(6, "0")}`;
}

function segmentOf(topic: string): number | undefined {
  const number = topic.startsWith(topicPrefix) ? topic.slice(topicPrefix.length) : "";
  return /^\d{6,12}$/.test(number) ? Number(number) : undefined;
}

/** Letters of one topic that lie near each other, by place. */
function runsOf(letters: readonly IndexedLetter[]): IndexedLetter[][] {
  const sorted = [...letters].sort(
    (left, right) => left.segment - right.segment || compareMessageIds(left.place, right.place),
  );
  const runs: IndexedLetter[][] = [];
  for (const letter of sorted) {
    const run = runs.at(-1);
    const before = run?.at(-1);
    const isNear =
      before?.segment === letter.segment && Math.abs(letter.number - before.number) <= gapMax;
    if (run && isNear) run.push(letter);
    else runs.push([letter]);
  }
  return runs;
}
