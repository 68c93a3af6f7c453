import { Assembly, type Part } from "@fleetmesh/core";
import { openPulsarAdmin, openPulsarClient } from "@fleetmesh/pulsar";
import type { Metadata } from "./metadata/metadata.ts";
import { TopicSync } from "./metadata/topic-sync.ts";
import type { RuntimeStore, StoreConfig, StorePorts } from "./runtime-store.ts";
import { openPulsarStore } from "./store/pulsar-store.ts";
import { specPolicy } from "./store/pulsar/topic-policy.ts";
import type { RetentionOf } from "./store/shared/retention.ts";
import { createPulsarMetrics } from "./telemetry/pulsar-metrics.ts";

export interface PulsarRuntimeStoreOptions extends StorePorts {
  readonly region: string;
  readonly metadata: Metadata;
  readonly retention: RetentionOf;
  /** As large as the doors take an event. */
  readonly eventBytesMax: number;
}

/** One such session alone is slow: its server handles one message after another. */
const webSocketSessions = 4;

/** A runtime's store in Pulsar, with what keeps the topics there as the metadata says. Throws as openRuntimeStore does. */
export function openPulsarRuntimeStore(
  store: StoreConfig<"pulsar">,
  options: PulsarRuntimeStoreOptions,
): RuntimeStore {
  const { region, metadata, retention, eventBytesMax, registry, ...ports } = options;
  const { clock, logger } = ports;
  const { tenant, namespace, directWindow, auditMs, auditGraceMs } = store;
  const client = openPulsarClient(store, ports);
  const admin = openPulsarAdmin(store, ports);
  const opened = openPulsarStore({
    ...{ ...ports, client, admin, region, retention, eventBytesMax },
    ...{ directWindow, auditMs, auditGraceMs },
    sessions: client.kind === "websocket" ? webSocketSessions : 1,
    // The doors answer 503 meanwhile, and say why: senders keep what they have.
    opensLater: true,
  });
  const isOpen = (): boolean => opened.absence() === undefined;
  const { topicDrift } = createPulsarMetrics(registry, { client: client.kind, isOpen });
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
