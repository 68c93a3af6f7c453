import type { MeshEvent } from "@fleetmesh/core";
import type { Subscription } from "../metadata/metadata.ts";

/** How one attempt ended. `status` is one word for people and metrics: "200", "503", "timeout", "refused", "reset". */
export type DeliveryOutcome =
  | { readonly kind: "taken"; readonly status: string }
  /** May succeed later. With `retryAfterMs` the whole target asked for silence. */
  | {
      readonly kind: "failed";
      readonly status: string;
      readonly detail?: string | undefined;
      readonly retryAfterMs?: number | undefined;
    }
  /** Will never succeed: to the dead letters at once. */
  | { readonly kind: "refused"; readonly status: string; readonly detail?: string | undefined }
  /** The target is gone for good: the subscription is disabled, the event stays pending. */
  | { readonly kind: "retired"; readonly status: string; readonly detail?: string | undefined }
  /** The mesh itself let go of the attempt while stopping; it does not count. */
  | { readonly kind: "aborted" };

/** One event on its way to a target, once. */
export interface Delivery {
  readonly event: MeshEvent;
  readonly topic: string;
  readonly subscription: string;
  readonly timeoutMs: number;
  /** Sent again from the dead letters by an operator: exempt from order, and the target is told. */
  readonly isRedriven: boolean;
  /** Called exactly once, never from within `deliver`'s own call stack when the target is remote. */
  settle(outcome: DeliveryOutcome): void;
}

/**
 * Where a subscription's events go. One target object serves one subscription.
 *
 * Guarantees
 * - `deliver` neither throws nor blocks; its delivery is settled exactly once, at the latest a second after `timeoutMs`.
 * - "taken" only when the other side confirmed that it has the event.
 * - The same event of the same subscription carries the same identity in each attempt, so that the target can drop repeats.
 * - Redirections are not followed; addresses that are not allowed are not connected to, whatever their name resolves to.
 * - What comes back is read within bounds; secrets never appear in an outcome.
 * - After `stop` everything in flight is settled (as "aborted" when unfinished) and nothing is held open.
 * The caller bounds how many deliveries are in flight.
 *
 * A callback and not a promise: this is called once for every event and subscription.
 */
export interface Target {
  readonly kind: string;
  /** How many deliveries it can have on their way now, where it has a bound of its own; more wait, on their own time. */
  readonly placesMax?: number;
  deliver(delivery: Delivery): void;
  stop(): Promise<void>;
}

/** Makes the target of a subscription. Throws SUBSCRIPTION_INVALID or SINK_FORBIDDEN. */
export type TargetFactory = (subscription: Subscription) => Target;
