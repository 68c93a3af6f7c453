import { join } from "node:path";
import {
  createLogger,
  systemClock,
  threadEntry,
  type Clock,
  type Logger,
  type Part,
} from "@fleetmesh/core";
import type { DeliveryStore } from "./delivery-store.ts";
import type { EventStore } from "./event-store.ts";
import { retentionDefault, type RetentionOf } from "./shared/retention.ts";
import { SqliteDeliveryStore } from "./sqlite/sqlite-delivery-store.ts";
import { SqliteEventStore } from "./sqlite/sqlite-event-store.ts";
import { StoreEngine } from "./sqlite/store-engine.ts";
import { ThreadLink } from "./sqlite/thread-link.ts";
import type { OnDamage, ThreadRole } from "./sqlite/thread-message.ts";

export interface SqliteStoreOptions {
  /** The store's own directory; created when missing, locked while the store runs. */
  readonly dir: string;
  readonly region: string;
  /** Direct publishers' events remembered for resends. Default 100,000. */
  readonly directWindow?: number;
  /** Per topic; default 7 days or 16 GiB. Asked at every round, so that a change needs no restart. */
  readonly retention?: RetentionOf;
  /** Newest events kept in memory for readers that keep up. Default 32 MiB. */
  readonly tailBytesMax?: number;
  /** Rejected events kept: default 64 MiB, 7 days. */
  readonly rejectedBytesMax?: number;
  readonly rejectedMs?: number;
  /** Delivery records kept for the trace: default 1,000,000, 7 days. */
  readonly recordsMax?: number;
  readonly recordMs?: number;
  /**
   * What a start does with a damaged file. Default `refuse`: a region's store is the only copy of what it acknowledged, so a
   * person decides between backup and loss. `quarantine` puts the file aside, logs it as an error and starts empty.
   */
  readonly onDamage?: OnDamage;
  /** OFF breaks the promise that acknowledged is on disk; only the control of the power-cut test uses it. */
  readonly synchronous?: "FULL" | "OFF";
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** Both stores of a region in one SQLite file. Starting or stopping any of the three is starting or stopping all. */
export interface SqliteStore {
  readonly events: EventStore;
  readonly deliveries: DeliveryStore;
  readonly part: Part;
}

const dayMs = 24 * 3600 * 1000;
const mebibyte = 1024 * 1024;

export function openSqliteStore(options: SqliteStoreOptions): SqliteStore {
  const logger = options.logger ?? createLogger({ part: "store", level: "info" });
  const entry = threadEntry(import.meta.url, "sqlite-store-thread");
  const onLost = (error: unknown): void => {
    logger.error({ err: error }, "A thread of the store failed; it is started again when needed.");
  };
  const writer = new ThreadLink(entry, writerRole(options), onLost);
  const reader = new ThreadLink(entry, { kind: "reader", file: fileOf(options) }, onLost);
  const engine = new StoreEngine(
    { writer, reader },
    {
      region: options.region,
      clock: options.clock ?? systemClock,
      logger,
      retention: options.retention ?? (() => retentionDefault),
      tailBytesMax: options.tailBytesMax ?? 32 * mebibyte,
      groupCountMax: 512,
      groupBytesMax: 8 * mebibyte,
      waitingBytesMax: 64 * mebibyte,
    },
  );
  const events = new SqliteEventStore(engine);
  return { events, deliveries: new SqliteDeliveryStore(engine), part: events };
}

function writerRole(options: SqliteStoreOptions): ThreadRole {
  return {
    kind: "writer",
    onDamage: options.onDamage ?? "refuse",
    options: {
      file: fileOf(options),
      synchronous: options.synchronous ?? "FULL",
      directWindow: options.directWindow ?? 100_000,
      rejectedBytesMax: options.rejectedBytesMax ?? 64 * mebibyte,
      rejectedMs: options.rejectedMs ?? 7 * dayMs,
      recordsMax: options.recordsMax ?? 1_000_000,
      recordMs: options.recordMs ?? 7 * dayMs,
    },
  };
}

function fileOf(options: SqliteStoreOptions): string {
  return join(options.dir, "store.db");
}
