import {
  catalogue,
  eventByteSize,
  isTopic,
  MeshError,
  type BlockEntry,
  type ErrorName,
  type RejectedEvent,
  type Segment,
  type WireBatch,
} from "@fleetmesh/core";
import type { Principal } from "@fleetmesh/door";
import type { Metadata } from "../metadata/metadata.ts";
import type { AgentAppend, AgentRun } from "../store/event-store.ts";
import { admitTopicFor } from "./topic-admission.ts";

/** Why an event is refused for good; undefined = it may be stored. */
type Verdict = { readonly code: string; readonly reason: string } | undefined;

export interface CheckedBatch {
  readonly append: AgentAppend;
  readonly rejected: readonly RejectedEvent[];
  /** Events that may be stored, per topic. */
  readonly accepted: ReadonlyMap<string, number>;
}

/**
 * Turns a decoded batch into what the store appends: what may not be stored becomes a rejected run, so that a poison
 * event counts as handled and never blocks the uplink.
 * Errors: STORE_UNAVAILABLE when a new topic cannot be made durable now; then nothing of the batch is decided.
 */
export class BatchCheck {
  readonly #metadata: Metadata;
  readonly #maxEventBytes: number;

  constructor(metadata: Metadata, maxEventBytes: number) {
    this.#metadata = metadata;
    this.#maxEventBytes = maxEventBytes;
  }

  async check(batch: WireBatch, principal: Principal): Promise<CheckedBatch> {
    const verdicts = new Map<string, Verdict>();
    for (const topic of topicsOf(batch.segments)) {
      verdicts.set(topic, await this.#verdictOn(topic, principal));
    }
    const work = new Sorting(batch, (entry) => this.#verdictOf(entry, verdicts));
    for (const segment of batch.segments) work.add(segment);
    return work.finish();
  }

  async #verdictOn(topic: string, principal: Principal): Promise<Verdict> {
    if (!isTopic(topic)) return refusal("TOPIC_INVALID", "The topic name is not valid");
    if (!principal.mayPublish(topic)) {
      return refusal("NOT_PERMITTED", `The token does not permit publishing to "${topic}"`);
    }
    if (this.#metadata.topic(topic) !== undefined) return undefined;
    try {
      await admitTopicFor(this.#metadata, principal, topic);
      return undefined;
    } catch (error) {
      if (!MeshError.is(error) || error.retryable) throw error;
      return { code: error.code, reason: error.message };
    }
  }

  #verdictOf(entry: BlockEntry, verdicts: ReadonlyMap<string, Verdict>): Verdict {
    const onTopic = verdicts.get(entry.topic);
    if (onTopic !== undefined) return onTopic;
    const byteCount = eventByteSize(entry.event);
    if (byteCount <= this.#maxEventBytes) return undefined;
    return refusal("EVENT_TOO_LARGE", `${byteCount} bytes, at most ${this.#maxEventBytes}`);
  }
}

/** Splits the batch into runs in the order of its sequences. */
class Sorting {
  readonly #batch: WireBatch;
  readonly #verdictOf: (entry: BlockEntry) => Verdict;
  readonly #runs: AgentRun[] = [];
  readonly #rejected: RejectedEvent[] = [];
  readonly #accepted = new Map<string, number>();
  #open: BlockEntry[] = [];

  constructor(batch: WireBatch, verdictOf: (entry: BlockEntry) => Verdict) {
    this.#batch = batch;
    this.#verdictOf = verdictOf;
  }

  add(segment: Segment): void {
    if (segment.kind === "gap") {
      this.#close();
      this.#runs.push(segment);
      return;
    }
    for (const entry of segment.entries) this.#addEntry(entry);
  }

  finish(): CheckedBatch {
    this.#close();
    const { agentId, epoch, eventClass, first, last } = this.#batch;
    return {
      append: { agentId, epoch, eventClass, first, last, runs: this.#runs },
      rejected: this.#rejected,
      accepted: this.#accepted,
    };
  }

  #addEntry(entry: BlockEntry): void {
    const verdict = this.#verdictOf(entry);
    if (verdict === undefined) {
      this.#open.push(entry);
      this.#accepted.set(entry.topic, (this.#accepted.get(entry.topic) ?? 0) + 1);
      return;
    }
    this.#close();
    this.#runs.push({ kind: "rejected", entry, ...verdict });
    const { eventClass } = this.#batch;
    this.#rejected.push({ eventClass, sequence: entry.sequence, ...verdict });
  }

  #close(): void {
    if (this.#open.length === 0) return;
    this.#runs.push({ kind: "events", entries: this.#open });
    this.#open = [];
  }
}

function topicsOf(segments: readonly Segment[]): Set<string> {
  const topics = new Set<string>();
  for (const segment of segments) {
    if (segment.kind === "events") for (const entry of segment.entries) topics.add(entry.topic);
  }
  return topics;
}

function refusal(kind: ErrorName, reason: string): Verdict {
  return { code: catalogue[kind].code, reason };
}
