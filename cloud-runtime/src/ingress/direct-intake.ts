import { eventByteSize, MeshError, type Clock, type MeshEvent } from "@fleetmesh/core";
import type { Intake, Submission } from "@fleetmesh/door";
import type { Metadata } from "../metadata/metadata.ts";
import type { EventStore } from "../store/event-store.ts";
import type { RuntimeMetrics } from "../telemetry/runtime-metrics.ts";
import { admitTopicFor } from "./topic-admission.ts";

export interface DirectIntakePorts {
  readonly store: EventStore;
  readonly metadata: Metadata;
  readonly metrics: RuntimeMetrics;
  readonly clock: Clock;
}

/**
 * Direct publishers' way into the region's store.
 * Guarantees: resolves when the store has made all events durable; at most `inFlightBytesMax` wait for that at a time.
 * Errors: TOPIC_UNKNOWN, EVENT_CONFLICT, OVERLOADED with Retry-After, STORE_UNAVAILABLE, STOPPING.
 */
export class DirectIntake implements Intake {
  readonly #ports: DirectIntakePorts;
  readonly #inFlightBytesMax: number;
  #bytes = 0;

  constructor(ports: DirectIntakePorts, inFlightBytesMax: number) {
    this.#ports = ports;
    this.#inFlightBytesMax = inFlightBytesMax;
  }

  async take(submission: Submission): Promise<void> {
    const byteCount = bytesOf(submission.events);
    if (this.#bytes > 0 && this.#bytes + byteCount > this.#inFlightBytesMax) {
      throw new MeshError("OVERLOADED", "Too many bytes wait for the region's store", {
        retryAfterSeconds: 1,
      });
    }
    this.#count(byteCount);
    try {
      await this.#append(submission);
    } finally {
      this.#count(-byteCount);
    }
  }

  async #append({ topic, events, principal }: Submission): Promise<void> {
    const { store, metadata, clock } = this.#ports;
    await admitTopicFor(metadata, principal, topic);
    await store.appendDirect({ topic, receivedMs: clock.wallMs(), events });
  }

  #count(byteCount: number): void {
    this.#bytes += byteCount;
    this.#ports.metrics.bytesInFlight.set({ door: "direct" }, this.#bytes);
  }
}

function bytesOf(events: readonly MeshEvent[]): number {
  let sum = 0;
  for (const event of events) sum += eventByteSize(event);
  return sum;
}
