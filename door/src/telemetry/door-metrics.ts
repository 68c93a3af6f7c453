import { Counter, type Registry } from "prom-client";
import type { DoorKind } from "../intake.ts";

const topicCountMax = 1_000;
const othersLabel = "(others)";

/**
 * What the doors of one process count. Counting is two map look-ups on the event path; the registry is told when it is
 * read. Topics become labels only after the intake took an event, so only topics that exist, and at most 1,000.
 */
export class DoorMetrics {
  static readonly #known = new WeakMap<Registry, DoorMetrics>();
  readonly #received = new Map<string, Map<string, number>>();
  readonly #topics = new Set<string>();
  readonly #authRejected: Counter<"reason">;
  readonly #rejected: Counter<"door" | "code">;
  readonly #dropped: Counter<"reason">;
  readonly #refusedConnections: Counter<"reason">;

  /** One per registry, so that several doors of a process share their counters. */
  static of(registry: Registry): DoorMetrics {
    const known = DoorMetrics.#known.get(registry) ?? new DoorMetrics(registry);
    DoorMetrics.#known.set(registry, known);
    return known;
  }

  private constructor(registry: Registry) {
    const registers = [registry];
    const received = this.#received;
    new Counter({
      name: "fleetmesh_events_received_total",
      help: "Events that a door acknowledged.",
      labelNames: ["topic", "door"],
      registers,
      collect() {
        this.reset();
        for (const [door, topics] of received) {
          for (const [topic, count] of topics) this.inc({ topic, door }, count);
        }
      },
    });
    this.#authRejected = new Counter({
      name: "fleetmesh_auth_rejected_total",
      help: "Attempts refused for lack of a valid token or permission.",
      labelNames: ["reason"],
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

  received(topic: string, door: DoorKind, count: number): void {
    let topics = this.#received.get(door);
    if (!topics) this.#received.set(door, (topics = new Map<string, number>()));
    const label = this.#labelOf(topic);
    topics.set(label, (topics.get(label) ?? 0) + count);
  }

  authRejected(reason: string): void {
    this.#authRejected.inc({ reason });
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

  #labelOf(topic: string): string {
    if (this.#topics.has(topic)) return topic;
    if (this.#topics.size >= topicCountMax) return othersLabel;
    this.#topics.add(topic);
    return topic;
  }
}
