import { BlockReader, encodeBlock } from "@fleetmesh/core";
import { z } from "zod";
import type {
  Attempt,
  Cursor,
  DeadLetter,
  DeadLetterQuery,
  DeliveryCommit,
  DeliveryRecord,
  DeliveryStore,
  PendingRetry,
  SettledDeadLetters,
} from "../delivery-store.ts";
import type { Origin } from "../event-store.ts";
import {
  decodeAhead,
  decodeRecords,
  encodeAhead,
  encodeRecords,
  recordOrdinal,
} from "./delivery-codec.ts";
import type { StoreEngine } from "./store-engine.ts";
import type { CursorRow, DeadLetterRow, DeliverOp } from "./store-op.ts";
import type { GroupRow } from "./store-question.ts";

const attemptsSchema = z.array(
  z.object({
    atMs: z.number(),
    durationMs: z.number(),
    outcome: z.string(),
    detail: z.string().optional(),
  }),
);
const originSchema = z.object({
  region: z.string(),
  agentId: z.string().optional(),
  epoch: z.string().optional(),
  eventClass: z.enum(["critical", "normal", "bulk"]).optional(),
  position: z.string().optional(),
});

/** The dispatcher's memory on SQLite: in the event store's file and group commit, so that both are one after a crash. */
export class SqliteDeliveryStore implements DeliveryStore {
  readonly name = "delivery store (sqlite)";
  readonly #engine: StoreEngine;

  constructor(engine: StoreEngine) {
    this.#engine = engine;
  }

  start(): Promise<void> {
    return this.#engine.start();
  }

  stop(deadline: AbortSignal): Promise<void> {
    return this.#engine.stop(deadline);
  }

  async commit(commit: DeliveryCommit): Promise<void> {
    const op: DeliverOp = {
      kind: "deliver",
      cursors: commit.cursors.map(cursorRow),
      retries: commit.retries.map((retry) => ({
        ...retry,
        attempts: JSON.stringify(retry.attempts),
      })),
      retriesDone: commit.retriesDone.map((r) => [r.subscription, r.topic, r.position] as const),
      deadLetters: commit.deadLetters.map(deadLetterRow),
      records: encodeRecords(commit.records),
    };
    await this.#engine.submit(op, weightOf(op));
  }

  async cursors(subscription: string): Promise<Cursor[]> {
    return (await this.#engine.ask("cursors", { subscription })).map(cursorOf);
  }

  async retries(subscription: string): Promise<PendingRetry[]> {
    const rows = await this.#engine.ask("retries", { subscription });
    return rows.map((row) => ({ ...row, attempts: attemptsOf(row.attempts) }));
  }

  async forget(subscription: string): Promise<void> {
    await this.#engine.submit({ kind: "forget", subscription }, 64);
  }

  async deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]> {
    const { subscription, topic, after, limit } = query;
    const rows = await this.#engine.ask("deadLetters", { subscription, topic, after, limit });
    return rows.map((row) => ({
      ...row,
      attempts: attemptsOf(row.attempts),
      origin: originSchema.parse(JSON.parse(row.origin)) satisfies Origin,
      entry: new BlockReader(row.entry).entry(0),
    }));
  }

  deadLetterGroups(): Promise<GroupRow[]> {
    return this.#engine.ask("deadLetterGroups", undefined);
  }

  async settleDeadLetters(
    ids: readonly string[],
    outcome: "redriven" | "discarded",
  ): Promise<number> {
    const result = await this.#engine.submit({ kind: "settle", ids, outcome }, 64 * ids.length);
    return result.kind === "done" ? result.count : 0;
  }

  async records(topic: string, position: string): Promise<DeliveryRecord[]> {
    const rows = await this.#engine.ask("records", { topic, at: recordOrdinal(position) });
    return rows.flatMap((row) => decodeRecords(row, topic, position));
  }

  settledDeadLetters(): Promise<SettledDeadLetters[]> {
    return this.#engine.ask("settled", undefined);
  }
}

function cursorRow({ subscription, topic, start, position, ahead, counts: c }: Cursor): CursorRow {
  const counts = [
    c.delivered,
    c.filtered,
    c.expired,
    c.deadLettered,
    c.trimmed,
    c.damaged,
  ] as const;
  return { subscription, topic, start, position, counts, ahead: encodeAhead(ahead) };
}

function cursorOf({ counts: c, ahead, ...row }: CursorRow): Cursor {
  const [delivered, filtered, expired, deadLettered, trimmed, damaged] = c;
  const counts = { delivered, filtered, expired, deadLettered, trimmed, damaged };
  return { ...row, counts, ahead: decodeAhead(ahead) };
}

function deadLetterRow(letter: DeadLetter): DeadLetterRow {
  return {
    ...letter,
    attempts: JSON.stringify(letter.attempts),
    origin: JSON.stringify(letter.origin),
    entry: encodeBlock([letter.entry]),
  };
}

function attemptsOf(text: string): Attempt[] {
  return attemptsSchema.parse(JSON.parse(text));
}

function weightOf(op: DeliverOp): number {
  let bytes = 256 + 128 * (op.cursors.length + op.retriesDone.length);
  for (const { ahead } of op.cursors) bytes += ahead.length;
  for (const { attempts, key } of op.retries) bytes += 128 + attempts.length + key.length;
  for (const { entry, attempts } of op.deadLetters) bytes += 256 + entry.length + attempts.length;
  for (const { body } of op.records) bytes += 64 + body.length;
  return bytes;
}
