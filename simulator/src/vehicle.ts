import { sleep, type Clock, type MeshEvent, type Part } from "@fleetmesh/core";
import type { TopicEvent } from "./drive-event.ts";

/** Where a vehicle's events go: resolves when they are durable, as the agent's own door does. */
export type EventSink = (topic: string, event: MeshEvent) => Promise<void>;

export interface VehicleOptions {
  readonly name: string;
  readonly clock: Clock;
  /** Telemetry events per second. */
  readonly rate: number;
  readonly sink: EventSink;
  /** What happens in the next so many seconds; `Drive.advance` or a replay. */
  readonly advance: (seconds: number, wallMs: number) => readonly TopicEvent[];
  /** Told of every event that the sink refused; the vehicle drives on. */
  readonly onRefused?: (error: unknown) => void;
}

/** A vehicle that drives in real time. It waits for its sink: a slow one gets fewer events, never a queue of them. */
export class Vehicle implements Part {
  readonly name: string;
  readonly #options: VehicleOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #sent = 0;
  #refused = 0;

  constructor(options: VehicleOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Events the sink took, and those it refused. */
  get counts(): { readonly sent: number; readonly refused: number } {
    return { sent: this.#sent, refused: this.#refused };
  }

  start(): Promise<void> {
    this.#running ??= this.#run();
    return Promise.resolve();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping.abort();
    if (this.#running === undefined || deadline.aborted) return;
    const isLate = new Promise<void>((resolve) => {
      deadline.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([this.#running, isLate]);
  }

  async #run(): Promise<void> {
    const { clock, rate, advance } = this.#options;
    const { signal } = this.#stopping;
    const periodMs = 1000 / rate;
    let dueMs = clock.monotonicMs();
    while (!this.#isStopping()) {
      // After a wait for the sink or a suspended machine the vehicle goes on from now rather than making up for it.
      dueMs = Math.max(dueMs + periodMs, clock.monotonicMs());
      await sleep(clock, dueMs - clock.monotonicMs(), signal);
      if (this.#isStopping()) return;
      for (const { topic, event } of advance(periodMs / 1000, clock.wallMs()))
        await this.#send(topic, event);
    }
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #send(topic: string, event: MeshEvent): Promise<void> {
    try {
      await this.#options.sink(topic, event);
      this.#sent += 1;
    } catch (error) {
      this.#refused += 1;
      this.#options.onRefused?.(error);
    }
  }
}
