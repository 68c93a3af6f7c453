import { ByteReader, ByteWriter } from "@fleetmesh/core";
import { z } from "zod";
import type { Cursor, PendingRetry, SettledDeadLetters } from "../delivery-store.ts";
import { PositionReader, PositionWriter } from "./position-codec.ts";

type RetryName = Pick<PendingRetry, "subscription" | "topic" | "position">;

const attempt = z.object({
  ...{ atMs: z.number(), durationMs: z.number(), outcome: z.string() },
  detail: z.string().optional(),
});
const keptRetry = z.object({
  ...{ subscription: z.string(), topic: z.string(), position: z.string(), key: z.string() },
  ...{ attempts: z.array(attempt), nextMs: z.number() },
});
const keptSettled = z.object({ redriven: z.number(), discarded: z.number() });

/** Where subscriptions are: cursors (`c`), retries (`r`) and counts of settled dead letters (`k`), by their keys in the state log. */
export class CursorTable {
  readonly #onChanged: (key: string) => void;
  readonly #cursors = new Map<string, Map<string, Cursor>>();
  readonly #retries = new Map<string, Map<string, PendingRetry>>();
  readonly #settled = new Map<string, SettledDeadLetters>();

  constructor(onChanged: (key: string) => void) {
    this.#onChanged = onChanged;
  }

  cursors(subscription: string): Cursor[] {
    return [...(this.#cursors.get(subscription)?.values() ?? [])];
  }

  retries(subscription: string): PendingRetry[] {
    return [...(this.#retries.get(subscription)?.values() ?? [])];
  }

  settled(): SettledDeadLetters[] {
    return [...this.#settled.values()];
  }

  putCursor(cursor: Cursor): void {
    const { subscription, topic } = cursor;
    const key = `c\n${subscription}\n${topic}`;
    ofOwner(this.#cursors, subscription).set(key, cursor);
    this.#onChanged(key);
  }

  putRetry(retry: PendingRetry): void {
    const key = retryKey(retry);
    ofOwner(this.#retries, retry.subscription).set(key, retry);
    this.#onChanged(key);
  }

  removeRetry(retry: RetryName): void {
    const key = retryKey(retry);
    if (take(this.#retries, retry.subscription, key)) this.#onChanged(key);
  }

  countSettled(subscription: string, outcome: "redriven" | "discarded"): void {
    const known = this.#settled.get(subscription) ?? { subscription, redriven: 0, discarded: 0 };
    this.#settled.set(subscription, { ...known, [outcome]: known[outcome] + 1 });
    this.#onChanged(`k\n${subscription}`);
  }

  forget(subscription: string): void {
    for (const table of [this.#cursors, this.#retries]) {
      for (const key of table.get(subscription)?.keys() ?? []) this.#onChanged(key);
      table.delete(subscription);
    }
  }

  valueOf(key: string): Uint8Array | undefined {
    const [kind, owner = ""] = key.split("\n", 2);
    if (kind === "c") return encoded(this.#cursors.get(owner)?.get(key), encodeCursor);
    if (kind === "r") return encoded(this.#retries.get(owner)?.get(key), encodeJson);
    return encoded(this.#settled.get(owner), encodeJson);
  }

  /** What the state log has under a key of this table. */
  restore(key: string, value: Uint8Array | undefined): void {
    const [kind, owner = ""] = key.split("\n", 2);
    if (kind === "c" && value) ofOwner(this.#cursors, owner).set(key, decodeCursor(value));
    else if (kind === "c") take(this.#cursors, owner, key);
    else if (kind === "r" && value)
      ofOwner(this.#retries, owner).set(key, keptRetry.parse(decodeJson(value)));
    else if (kind === "r") take(this.#retries, owner, key);
    else if (value)
      this.#settled.set(owner, { subscription: owner, ...keptSettled.parse(decodeJson(value)) });
  }
}

function retryKey({ subscription, topic, position }: RetryName): string {
  return `r\n${subscription}\n${topic}\n${position}`;
}

function ofOwner<Item>(table: Map<string, Map<string, Item>>, owner: string): Map<string, Item> {
  const found = table.get(owner) ?? new Map<string, Item>();
  table.set(owner, found);
  return found;
}

function take<Item>(table: Map<string, Map<string, Item>>, owner: string, key: string): boolean {
  const owned = table.get(owner);
  const isThere = owned?.delete(key) === true;
  if (owned?.size === 0) table.delete(owner);
  return isThere;
}

function encoded<Item>(
  item: Item | undefined,
  encode: (item: Item) => Uint8Array,
): Uint8Array | undefined {
  return item === undefined ? undefined : encode(item);
}

const encodeJson = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const decodeJson = (value: Uint8Array): unknown => JSON.parse(Buffer.from(value).toString());

function encodeCursor({ subscription, topic, start, position, ahead, counts }: Cursor): Uint8Array {
  const out = new ByteWriter(128 + 4 * ahead.length);
  out.text(subscription);
  out.text(topic);
  const { delivered, filtered, expired, deadLettered, trimmed, damaged } = counts;
  for (const count of [delivered, filtered, expired, deadLettered, trimmed, damaged])
    out.varint(count);
  const positions = new PositionWriter(out);
  positions.write(start);
  positions.write(position);
  out.varint(ahead.length);
  for (const each of ahead) positions.write(each);
  return out.take();
}

function decodeCursor(value: Uint8Array): Cursor {
  const input = new ByteReader(value);
  const [subscription, topic] = [input.text(), input.text()];
  const counts = {
    ...{ delivered: input.varint(), filtered: input.varint(), expired: input.varint() },
    ...{ deadLettered: input.varint(), trimmed: input.varint(), damaged: input.varint() },
  };
  const positions = new PositionReader(input);
  const [start, position] = [positions.read(), positions.read()];
  const ahead: string[] = [];
  for (let left = input.varint(); left > 0; left -= 1) ahead.push(positions.read());
  return { subscription, topic, start, position, ahead, counts };
}
