import { Counter, type Registry } from "prom-client";
import type { DoorKind } from "../intake.ts";

const topicCountMax = 1_000;
const othersLabel = "(others)";

/** The topics that a process knows without an event having come. */
export interface KnownTopics {
  names(): Iterable<string>;
  has(topic: string): boolean;
}

/**
 * What the doors of one process count. Counting is two map look-ups on the event path; the registry is told when it is
 * read. A topic becomes a label when the process knows it or the intake took an event for it: only topics that exist, at
 * most 1,000, and never one that a stranger made up.
 */
export class DoorMetrics {
  static readonly #known = new WeakMap<Registry, DoorMetrics>();
  readonly #received = new Map<string, Map<string, number>>();
  readonly #topics = new Set<string>();
  readonly #authRejected: Counter<"topic" | "reason">;
  readonly #rejected: Counter<"door" | "code">;
  readonly #dropped: Counter<"reason">;
  readonly #refusedConnections: Counter<"reason">;
  #knownTopics: KnownTopics | undefined;

  /** One per registry, so that several doors of a process share their counters. */
  static of(registry: Registry): DoorMetrics {
    const known = DoorMetrics.#known.get(registry) ?? new DoorMetrics(registry);
    DoorMetrics.#known.set(registry, known);
    return known;
  }

  private constructor(registry: Registry) {
    const registers = [registry];
    const received = this.#received;
    const nameKnown = (): void => this.#nameKnown();
    new Counter({
      name: "fleetmesh_events_received_total",
      help: "Events that a door acknowledged.",
      labelNames: ["topic", "door"],
      registers,
      collect() {
        this.reset();
        nameKnown();
        for (const [door, topics] of received) {
          for (const [topic, count] of topics) this.inc({ topic, door }, count);
        }
      },
    });
    this.#authRejected = new Counter({
      name: "fleetmesh_auth_rejected_total",
      help: "Attempts refused for lack of a valid token or permission; without a topic where none was named that exists.",
      labelNames: ["topic", "reason"],
      registers,
    });
    this.#rejected = new Counter({
      name: "fleetmesh_door_rejected_total",
      help: "Requests and publishes that a door refused, by error code.",
      labelNames: ["door", "code"],
      registers,
    });
    this.#dropped = new Counter({
      name: "fleetmesh_mqtt_downlink_dropped_total",
      help: "Messages to MQTT subscribers that were dropped at a bound.",
      labelNames: ["reason"],
      registers,
    });
    this.#refusedConnections = new Counter({
      name: "fleetmesh_connections_refused_total",
      help: "Connections refused or cut by a door's limits.",
      labelNames: ["reason"],
      registers,
    });
  }

  /** Known topics have their series before the first event. */
  knows(topics: KnownTopics): void {
    this.#knownTopics = topics;
  }

  /** A door of this kind is open. */
  serves(door: DoorKind): Map<string, number> {
    let topics = this.#received.get(door);
    if (!topics) this.#received.set(door, (topics = new Map<string, number>()));
    return topics;
  }

  received(topic: string, door: DoorKind, count: number): void {
    const topics = this.serves(door);
    const label = this.#labelOf(topic);
    topics.set(label, (topics.get(label) ?? 0) + count);
  }

  /** Without a topic when the attempt was not about one. */
  authRejected(reason: string, topic = ""): void {
    const isKnown = this.#topics.has(topic) || this.#knownTopics?.has(topic) === true;
    this.#authRejected.inc({ topic: isKnown ? this.#labelOf(topic) : "", reason });
  }

  rejected(door: DoorKind, code: string): void {
    this.#rejected.inc({ door, code });
  }

  downlinkDropped(reason: string, count = 1): void {
    this.#dropped.inc({ reason }, count);
  }

  connectionRefused(reason: string): void {
    this.#refusedConnections.inc({ reason });
  }

  #nameKnown(): void {
    for (const topic of this.#knownTopics?.names() ?? []) {
      const label = this.#labelOf(topic);
      for (const topics of this.#received.values()) {
        if (!topics.has(label)) topics.set(label, 0);
      }
    }
  }

  #labelOf(topic: string): string {
    if (this.#topics.has(topic)) return topic;
    if (this.#topics.size >= topicCountMax) return othersLabel;
    this.#topics.add(topic);
    return topic;
  }
}
