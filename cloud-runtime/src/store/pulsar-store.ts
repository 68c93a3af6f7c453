import {
  createLogger,
  maxEventBytesDefault,
  systemChance,
  systemClock,
  type Chance,
  type Clock,
  type Logger,
  type Part,
} from "@fleetmesh/core";
import type { PulsarAdmin, PulsarClient } from "@fleetmesh/pulsar";
import type { DeliveryStore } from "./delivery-store.ts";
import type { EventStore } from "./event-store.ts";
import { EngineSession } from "./pulsar/engine-session.ts";
import { PulsarDeliveryStore } from "./pulsar/pulsar-delivery-store.ts";
import { PulsarEventStore } from "./pulsar/pulsar-event-store.ts";
import { SettledLetters } from "./pulsar/settled-letters.ts";
import { Tenure } from "./pulsar/tenure.ts";
import { retentionDefault, type RetentionOf } from "./shared/retention.ts";
import { WatchList } from "./shared/watch-list.ts";

export interface PulsarStoreOptions {
  /** Of the region's tenant and namespace. The client is started and stopped with the store. */
  readonly client: PulsarClient;
  readonly admin: PulsarAdmin;
  readonly region: string;
  /** Names the producers and the holder of the fence; the same for all nodes of a region. Default `mesh-<region>`. */
  readonly name?: string;
  /** Direct publishers' events remembered for resends. Default 100,000. */
  readonly directWindow?: number;
  /** Per topic; default 7 days or 16 GiB. Asked at every round, so that a change needs no restart. */
  readonly retention?: RetentionOf;
  /** Newest events kept in memory for readers that keep up. Default 32 MiB. */
  readonly tailBytesMax?: number;
  /** Events sent to Pulsar and not acknowledged; beyond it appends are refused. Default 64 MiB. */
  readonly bytesInHandMax?: number;
  /** After this a broker that does not acknowledge is taken for dead. Default 15 s. */
  readonly sendTimeoutMs?: number;
  /** Producers of a topic at a time; an agent always has the same. Default 1; 4 are right for the WebSocket client. */
  readonly sessions?: number;
  /** Readers for those who are behind the tail, at a time. Default 16. */
  readonly catchUpReadersMax?: number;
  /** How far the kept state may be behind: what a start reads again. Default 1 s. */
  readonly flushMs?: number;
  /** How often what this region sent is sealed for the others. Default 1 s. */
  readonly auditMs?: number;
  /** How late an event of another region may be before it counts as missing. Default 5 s. */
  readonly auditGraceMs?: number;
  /** How long a start waits for the cluster and the fence. Default 60 s. */
  readonly startMsMax?: number;
  /** A start does not wait for them: the store refuses until it is open, and tells why by `absence`. */
  readonly opensLater?: boolean;
  /** As large as the doors take an event; a start fails when a message cannot carry it. Default 256 KiB. */
  readonly eventBytesMax?: number;
  /** Delivery records kept for the trace: default 200,000, 7 days. */
  readonly recordsMax?: number;
  readonly recordMs?: number;
  /** Written into a log of the store's own state between two compactions. Default 64 MiB. */
  readonly compactionBytes?: number;
  readonly clock?: Clock;
  readonly chance?: Chance;
  readonly logger?: Logger;
}

/** Both stores of a region in Pulsar. Starting or stopping any of the three is starting or stopping all. */
export interface PulsarStore {
  readonly events: EventStore;
  readonly deliveries: DeliveryStore;
  readonly part: Part;
  /** Why the store is not there now, in words; undefined when it is. */
  readonly absence: () => string | undefined;
}

const mebibyte = 1024 * 1024;
const dayMs = 24 * 3_600_000;

export function openPulsarStore(options: PulsarStoreOptions): PulsarStore {
  const logger = options.logger ?? createLogger({ part: "store", level: "info" });
  const onFailure = (error: unknown): void => {
    logger.error({ err: error }, "A listener of the store failed.");
  };
  const watchers = new WatchList(onFailure);
  const { clock = systemClock, recordsMax = 200_000, recordMs = 7 * dayMs } = options;
  const tenure = new Tenure();
  const session = new EngineSession({
    name: `mesh-${options.region}`,
    directWindow: 100_000,
    retention: () => retentionDefault,
    tailBytesMax: 32 * mebibyte,
    bytesInHandMax: 64 * mebibyte,
    sendTimeoutMs: 15_000,
    sessions: 1,
    catchUpReadersMax: 16,
    flushMs: 1_000,
    auditMs: 1_000,
    auditGraceMs: 5_000,
    startMsMax: 60_000,
    opensLater: false,
    eventBytesMax: maxEventBytesDefault,
    chance: systemChance,
    ...options,
    ...{ clock, logger, watchers },
    bounds: { recordsMax, recordMs },
    settledLetters: new SettledLetters(10_000),
    ...{ tenure, compactionBytes: options.compactionBytes },
  });
  const events = new PulsarEventStore(session, { clock, watchers });
  const deliveries = new PulsarDeliveryStore(session, tenure);
  return { events, deliveries, part: session, absence: () => session.absence };
}
