import { attributeOf, MeshError, type EventClass, type MeshEvent } from "@fleetmesh/core";
import type { Intake, Submission } from "@fleetmesh/door";
import type { AppendItem, EventBuffer } from "../buffer/buffer.ts";

export interface EdgeIntakePorts {
  readonly buffers: { readonly current: EventBuffer };
  readonly classOf: (topic: string) => EventClass;
  /** Wall clock to stamp events with: the region's when it is known. */
  readonly wallMs: () => number;
}

/**
 * Behind the agent's doors: the current buffer.
 * Guarantees: resolves when all events are fsynced, and keeps nothing of them then: the doors use their memory again. Without a catalogue of topics every topic is taken; the region judges.
 * What repeats a recent event is dropped by the buffer, and counts as taken.
 * Errors: EVENT_CONFLICT (details.index), BUFFER_FULL, BUFFER_UNAVAILABLE, BUFFER_DAMAGED, STOPPING.
 */
export class EdgeIntake implements Intake {
  readonly #ports: EdgeIntakePorts;
  #isClosed = false;

  constructor(ports: EdgeIntakePorts) {
    this.#ports = ports;
  }

  take({ topic, events }: Pick<Submission, "topic" | "events">): Promise<void> {
    if (this.#isClosed) {
      return Promise.reject(new MeshError("STOPPING", "The agent is stopping"));
    }
    const eventClass = this.#ports.classOf(topic);
    const receivedMs = this.#ports.wallMs();
    const items = events.map((event): AppendItem => {
      const entry = { topic, receivedMs, event };
      return { eventClass, entry, expiresMs: expiryOf(event) };
    });
    return this.#ports.buffers.current.append(items);
  }

  open(): void {
    this.#isClosed = false;
  }

  close(): void {
    this.#isClosed = true;
  }
}

/** `expirytime` (CloudEvents expiry extension), milliseconds since 1970. What is no timestamp expires nothing. */
export function expiryOf(event: MeshEvent): number | undefined {
  if (event.extensions.length === 0) return undefined;
  const value = attributeOf(event, "expirytime");
  if (typeof value !== "string") return undefined;
  const expiresMs = Date.parse(value);
  return Number.isNaN(expiresMs) ? undefined : expiresMs;
}
