import type { Chance, Clock } from "@fleetmesh/core";
import type { Subscription } from "../metadata/metadata.ts";
import type { EventStore } from "../store/event-store.ts";
import type { Target } from "../target/target.ts";
import type { Transformer } from "../transform/transforms.ts";
import type { DeliveryJournal } from "./delivery-journal.ts";
import type { RunnerTelemetry } from "./runner-telemetry.ts";
import type { TargetGate } from "./target-gate.ts";

export interface RunnerBounds {
  /** Of event data held in memory, per subscription. */
  readonly bytesMax: number;
  /** Events in hand per topic: waiting, in flight, parked behind a failing key, or settled ahead of one that is not. */
  readonly inHandMax: number;
}

export interface RunnerOptions {
  readonly subscription: Subscription;
  readonly target: Target;
  readonly store: EventStore;
  readonly journal: DeliveryJournal;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly gate: TargetGate;
  readonly telemetry: RunnerTelemetry;
  /** Of a subscription that has one. */
  readonly transformer?: Transformer | undefined;
  readonly bounds: RunnerBounds;
  /** The target said that it is gone for good. */
  readonly onRetired: (reason: string) => void;
}

export type RunnerState = "active" | "paused" | "disabled" | "pending" | "stopping";
