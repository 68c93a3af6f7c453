import { join } from "node:path";
import { Assembly, type Chance, type Clock, type Logger, type Part } from "@fleetmesh/core";
import type { Registry } from "prom-client";
import type { RuntimeConfig } from "./config/runtime-config.ts";
import { FileMetadata } from "./metadata/file-metadata.ts";
import { MemoryMetadata } from "./metadata/memory-metadata.ts";
import type { Metadata } from "./metadata/metadata.ts";
import type { DeliveryStore } from "./store/delivery-store.ts";
import type { EventStore } from "./store/event-store.ts";
import { openMemoryStore } from "./store/memory-store.ts";
import type { RetentionOf } from "./store/shared/retention.ts";
import { openSqliteStore } from "./store/sqlite-store.ts";

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

export type StoreConfig<Type> = Extract<RuntimeConfig["store"], { readonly type: Type }>;

interface Opening<Type> {
  readonly config: RuntimeConfig;
  readonly store: StoreConfig<Type>;
  readonly ports: StorePorts;
}

const alwaysThere = { followers: [], absence: () => undefined };

/**
 * Errors: CONFIG_INVALID, CONFIG_UNREADABLE. Nothing is connected or written before the parts start. What Pulsar takes is loaded
 * where it is the store, only: it is a tenth of a process's memory.
 */
export async function openRuntimeStore(
  config: RuntimeConfig,
  ports: StorePorts,
): Promise<RuntimeStore> {
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

async function pulsarStore({ config, store, ports }: Opening<"pulsar">): Promise<RuntimeStore> {
  const { openPulsarRuntimeStore } = await import("./pulsar-runtime-store.ts");
  const metadata = fileMetadata(config, ports.clock);
  const { region, limits } = config;
  return openPulsarRuntimeStore(store, {
    ...{ ...ports, region, metadata, retention: retentionOf(config, metadata) },
    eventBytesMax: limits.maxEventBytes,
  });
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
  const leaving = (topic: string) => metadata.removing().find(({ name }) => name === topic);
  return (topic) => metadata.topic(topic) ?? leaving(topic) ?? topicDefaults;
}
