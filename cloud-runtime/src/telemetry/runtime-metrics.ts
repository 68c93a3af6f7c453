import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import { DoorMetrics } from "@fleetmesh/door";
import type { TopicSpec } from "../metadata/metadata.ts";
import type { StoreLedger } from "../store/event-store.ts";
import { addReplicationAuditMetrics } from "./replication-audit-metrics.ts";

/** What the runtime's own parts count in memory: telemetry only, the ledger's numbers come from the store. */
export interface RuntimeMetrics {
  readonly registry: Registry;
  /** Counts what came in; agents' batches count as the MQTT door's. */
  readonly door: DoorMetrics;
  readonly rejected: Counter<"code">;
  readonly messagesRefused: Counter<"reason">;
  readonly agentsConnected: Gauge;
  readonly bytesInFlight: Gauge<"door">;
  readonly streamClients: Gauge;
  readonly replicationLag: Gauge<"topic" | "region">;
  readonly replicationReceived: Counter<"region" | "topic">;
}

export interface RuntimeMetricsOptions {
  /** One of its own for each runtime: two of them in one process do not mix. */
  readonly registry?: Registry;
  readonly region: string;
  /** Node's own numbers; leave out where several runtimes share one process and one of them has them already. */
  readonly withProcess: boolean;
  readonly ledger: () => Promise<StoreLedger>;
  /** Topics that there are, whether or not anything was stored in them. */
  readonly topics: TopicNames;
}

interface TopicNames {
  topics(): readonly TopicSpec[];
  topic(name: string): TopicSpec | undefined;
}

export function createRuntimeMetrics(options: RuntimeMetricsOptions): RuntimeMetrics {
  const { registry = new Registry() } = options;
  registry.setDefaultLabels({ cluster: options.region });
  if (options.withProcess) collectDefaultMetrics({ register: registry });
  addLedgerMetrics(registry, options.ledger, options.topics);
  addGapMetrics(registry, options.ledger);
  addReplicationAuditMetrics(registry, options.ledger);
  const at = { registers: [registry] };
  const door = DoorMetrics.of(registry);
  door.knows({
    names: () => options.topics.topics().map(({ name }) => name),
    has: (topic) => options.topics.topic(topic) !== undefined,
  });
  return {
    registry,
    door,
    rejected: new Counter({
      ...at,
      name: "fleetmesh_events_rejected_total",
      help: "Events of agents refused for good and kept in the rejected store.",
      labelNames: ["code"],
    }),
    messagesRefused: new Counter({
      ...at,
      name: "fleetmesh_agent_messages_refused_total",
      help: "Messages of agents refused as a whole, by the error's code.",
      labelNames: ["reason"],
    }),
    agentsConnected: gauge(registry, "fleetmesh_agents_connected", "Agents connected now."),
    bytesInFlight: new Gauge({
      ...at,
      name: "fleetmesh_ingress_in_flight_bytes",
      help: "Bytes received and not yet durable.",
      labelNames: ["door"],
    }),
    streamClients: gauge(registry, "fleetmesh_stream_clients", "Live tails open now."),
    replicationLag: new Gauge({
      ...at,
      name: "fleetmesh_replication_lag_seconds",
      help: "Age of the newest event of a topic replicated from a region when it was stored here.",
      labelNames: ["topic", "region"],
    }),
    replicationReceived: new Counter({
      ...at,
      name: "fleetmesh_replication_received_total",
      help: "Events replicated from a region and stored here.",
      labelNames: ["region", "topic"],
    }),
  };
}

const noCounts: TopicCounts = {
  ...{ fromAgents: 0, direct: 0, replicated: 0, stored: 0 },
  ...{ trimmed: 0, duplicates: 0, damaged: 0, readable: 0 },
};

function gauge(registry: Registry, name: string, help: string): Gauge {
  return new Gauge({ name, help, registers: [registry] });
}

type TopicCounts = StoreLedger["topics"][string];

/** Numbers the store keeps durably, read at the scrape: a restart does not set them back. Topics without any show zero. */
function addLedgerMetrics(
  registry: Registry,
  ledger: () => Promise<StoreLedger>,
  known: TopicNames,
): void {
  const registers = [registry];
  const countsByTopic = async (): Promise<Map<string, TopicCounts>> => {
    const counts = new Map(known.topics().map(({ name }) => [name, noCounts]));
    for (const [topic, stored] of Object.entries((await ledger()).topics))
      counts.set(topic, stored);
    return counts;
  };
  new Counter({
    name: "fleetmesh_events_stored_total",
    help: "Events stored, by topic and where they came from.",
    labelNames: ["topic", "from"],
    registers,
    async collect() {
      const topics = await countsByTopic();
      this.reset();
      for (const [topic, counts] of topics) {
        this.inc({ topic, from: "agents" }, counts.fromAgents);
        this.inc({ topic, from: "direct" }, counts.direct);
        this.inc({ topic, from: "regions" }, counts.replicated);
      }
    },
  });
  const perTopic = (name: string, help: string, countOf: (counts: TopicCounts) => number): void => {
    new Counter({
      ...{ name, help, labelNames: ["topic"], registers },
      async collect() {
        const topics = await countsByTopic();
        this.reset();
        for (const [topic, counts] of topics) this.inc({ topic }, countOf(counts));
      },
    });
  };
  perTopic(
    "fleetmesh_events_trimmed_total",
    "Events dropped by retention.",
    ({ trimmed }) => trimmed,
  );
  perTopic(
    "fleetmesh_events_damaged_total",
    "Stored events that the disk does not give back any more, found by a reader.",
    ({ damaged }) => damaged,
  );
  perTopic(
    "fleetmesh_events_duplicate_total",
    "Resends recognised and not stored twice.",
    ({ duplicates }) => duplicates,
  );
}

function addGapMetrics(registry: Registry, ledger: () => Promise<StoreLedger>): void {
  new Counter({
    name: "fleetmesh_events_lost_at_edge_total",
    help: "Sequences that agents reported as gaps, by reason.",
    labelNames: ["reason"],
    registers: [registry],
    async collect() {
      const { gaps } = await ledger();
      this.reset();
      for (const [reason, count] of Object.entries(gaps)) this.inc({ reason }, count);
    },
  });
}
