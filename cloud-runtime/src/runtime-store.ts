import { join } from "node:path";
import { Assembly, type Clock, type Logger, type Part } from "@fleetmesh/core";
import type { RuntimeConfig } from "./config/runtime-config.ts";
import { FileMetadata } from "./metadata/file-metadata.ts";
import { MemoryMetadata } from "./metadata/memory-metadata.ts";
import type { Metadata } from "./metadata/metadata.ts";
import type { DeliveryStore } from "./store/delivery-store.ts";
import type { EventStore } from "./store/event-store.ts";
import { openMemoryStore } from "./store/memory-store.ts";
import { openSqliteStore } from "./store/sqlite-store.ts";

/** What a runtime keeps: events, what was delivered of them, topics and subscriptions. */
export interface RuntimeStore {
  readonly events: EventStore;
  readonly deliveries: DeliveryStore;
  readonly metadata: Metadata;
  /** Starts and stops the stores; the metadata is a part of its own. */
  readonly part: Part;
}

export interface StorePorts {
  readonly clock: Clock;
  readonly logger: Logger;
}

export function openRuntimeStore(config: RuntimeConfig, ports: StorePorts): RuntimeStore {
  const { clock, logger } = ports;
  const topicDefaults = {
    retentionMs: config.retention.ms,
    retentionBytes: config.retention.bytes,
  };
  const metadataOptions = { autoCreateTopics: config.autoCreateTopics, topicDefaults };
  const { region, dataDir, store } = config;
  if (store.type === "memory") {
    const metadata = new MemoryMetadata(metadataOptions);
    const retention = (topic: string) => metadata.topic(topic) ?? topicDefaults;
    const { directWindow } = store;
    const onFailure = (error: unknown): void => logger.error({ err: error }, "Store failed.");
    const opened = openMemoryStore({ region, clock, retention, directWindow, onFailure });
    const part = new Assembly("memory-store", [opened.events, opened.deliveries]);
    return { events: opened.events, deliveries: opened.deliveries, metadata, part };
  }
  const path = join(dataDir, "metadata.journal");
  const metadata = new FileMetadata({ path, clock, ...metadataOptions });
  const retention = (topic: string) => metadata.topic(topic) ?? topicDefaults;
  const dir = join(dataDir, "store");
  const { directWindow } = store;
  const opened = openSqliteStore({ dir, region, clock, logger, retention, directWindow });
  return { ...opened, metadata };
}
