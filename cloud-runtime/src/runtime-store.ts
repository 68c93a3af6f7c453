import { join } from "node:path";
import { Assembly, type Chance, type Clock, type Logger, type Part } from "@fleetmesh/core";
import { openPulsarAdmin, openPulsarClient } from "@fleetmesh/pulsar";
import type { Registry } from "prom-client";
import type { RuntimeConfig } from "./config/runtime-config.ts";
import { FileMetadata } from "./metadata/file-metadata.ts";
import { MemoryMetadata } from "./metadata/memory-metadata.ts";
import type { Metadata } from "./metadata/metadata.ts";
import { TopicSync } from "./metadata/topic-sync.ts";
import type { DeliveryStore } from "./store/delivery-store.ts";
import type { EventStore } from "./store/event-store.ts";
import { openMemoryStore } from "./store/memory-store.ts";
import { openPulsarStore } from "./store/pulsar-store.ts";
import { specPolicy } from "./store/pulsar/topic-policy.ts";
import type { RetentionOf } from "./store/shared/retention.ts";
import { openSqliteStore } from "./store/sqlite-store.ts";
import { createPulsarMetrics } from "./telemetry/pulsar-metrics.ts";

/** What a runtime keeps: events, what was delivered of them, topics and subscriptions. */
export interface RuntimeStore {
  readonly events: EventStore;
  readonly deliveries: DeliveryStore;
  readonly metadata: Metadata;
  /** Starts and stops the stores; the metadata is a part of its own. */
  readonly part: Part;
  /** What follows the metadata for the store's sake; started behind it. */
  readonly followers: readonly Part[];
  /** Why the store is not there now, in words; undefined when it is. */
  readonly absence: () => string | undefined;
}

export interface StorePorts {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly registry: Registry;
}

type StoreConfig<Type> = Extract<RuntimeConfig["store"], { readonly type: Type }>;

interface Opening<Type> {
  readonly config: RuntimeConfig;
  readonly store: StoreConfig<Type>;
  readonly ports: StorePorts;
}

/** One such session alone is slow: its server handles one message after another. */
const webSocketSessions = 4;
const alwaysThere = { followers: [], absence: () => undefined };

/** Throws CONFIG_INVALID or CONFIG_UNREADABLE. Nothing is connected or written before the parts start. */
export function openRuntimeStore(config: RuntimeConfig, ports: StorePorts): RuntimeStore {
  const { store } = config;
  switch (store.type) {
    case "memory":
      return memoryStore({ config, store, ports });
    case "sqlite":
      return sqliteStore({ config, store, ports });
    case "pulsar":
      return pulsarStore({ config, store, ports });
  }
}

function memoryStore({ config, store, ports }: Opening<"memory">): RuntimeStore {
  const { clock, logger } = ports;
  const metadata = new MemoryMetadata(metadataOptions(config));
  const onFailure = (error: unknown): void => logger.error({ err: error }, "Store failed.");
  const { events, deliveries } = openMemoryStore({
    ...{ region: config.region, clock, directWindow: store.directWindow, onFailure },
    retention: retentionOf(config, metadata),
  });
  const part = new Assembly("memory-store", [events, deliveries]);
  return { events, deliveries, metadata, part, ...alwaysThere };
}

function sqliteStore({ config, store, ports }: Opening<"sqlite">): RuntimeStore {
  const { clock, logger } = ports;
  const metadata = fileMetadata(config, clock);
  const opened = openSqliteStore({
    ...{ dir: join(config.dataDir, "store"), region: config.region, clock, logger },
    ...{ retention: retentionOf(config, metadata), directWindow: store.directWindow },
  });
  return { ...opened, metadata, ...alwaysThere };
}

function pulsarStore({ config, store, ports }: Opening<"pulsar">): RuntimeStore {
  const { clock, chance, logger, registry } = ports;
  const metadata = fileMetadata(config, clock);
  const client = openPulsarClient(store, ports);
  const admin = openPulsarAdmin(store, ports);
  const opened = openPulsarStore({
    ...{ client, admin, region: config.region, clock, chance, logger },
    ...{ retention: retentionOf(config, metadata), directWindow: store.directWindow },
    ...{ auditMs: store.auditMs, auditGraceMs: store.auditGraceMs },
    sessions: client.kind === "websocket" ? webSocketSessions : 1,
    // The doors answer 503 meanwhile, and say why: senders keep what they have.
    opensLater: true,
    eventBytesMax: config.limits.maxEventBytes,
  });
  const isOpen = (): boolean => opened.absence() === undefined;
  const { topicDrift } = createPulsarMetrics(registry, { client: client.kind, isOpen });
  const { tenant, namespace } = store;
  logger.info({ client: client.kind, tenant, namespace }, "The store is in Pulsar.");
  const sync = new TopicSync({
    ...{ metadata, admin, clock, logger, policyOf: specPolicy },
    onDrift: (topic, field) => topicDrift.labels(topic, field).inc(),
  });
  const connection: Part = {
    name: "pulsar admin",
    start: () => Promise.resolve(),
    stop: () => admin.close(),
  };
  const part = new Assembly("pulsar-store", [connection, opened.part]);
  const { events, deliveries, absence } = opened;
  return { events, deliveries, metadata, part, followers: [sync], absence };
}

function metadataOptions({ autoCreateTopics, retention }: RuntimeConfig) {
  const topicDefaults = { retentionMs: retention.ms, retentionBytes: retention.bytes };
  return { autoCreateTopics, topicDefaults };
}

function fileMetadata(config: RuntimeConfig, clock: Clock): FileMetadata {
  const path = join(config.dataDir, "metadata.journal");
  const { keyFile } = config.secrets;
  return new FileMetadata({ path, clock, keyFile, ...metadataOptions(config) });
}

function retentionOf(config: RuntimeConfig, metadata: Metadata): RetentionOf {
  const { topicDefaults } = metadataOptions(config);
  return (topic) => metadata.topic(topic) ?? topicDefaults;
}
