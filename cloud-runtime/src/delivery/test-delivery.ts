import { MeshError, noExtensions, type Chance, type Clock, type MeshEvent } from "@fleetmesh/core";
import type { Subscription } from "../metadata/metadata.ts";
import type { DeliveryOutcome } from "../target/target.ts";
import type { Dispatcher } from "./dispatcher.ts";

export interface TestResult {
  readonly outcome: DeliveryOutcome["kind"];
  readonly status?: string;
  readonly detail?: string | undefined;
  readonly durationMs: number;
}

/** Sends one event of its own to the subscription's target, now and once. It is not stored and not counted. */
export async function sendTestEvent(
  dispatcher: Dispatcher,
  subscription: Subscription,
  { clock, chance }: { readonly clock: Clock; readonly chance: Chance },
): Promise<TestResult> {
  const target = dispatcher.runner(subscription.id)?.target;
  if (!target) throw new MeshError("STORE_UNAVAILABLE", "The subscription is not running yet");
  const event: MeshEvent = {
    id: chance.uuid(),
    source: "urn:fleetmesh:test",
    type: "fleetmesh.subscription.test",
    subject: subscription.id,
    time: new Date(clock.wallMs()).toISOString(),
    datacontenttype: "application/json",
    dataschema: undefined,
    extensions: noExtensions,
    data: Buffer.from('{"message":"A test of this subscription."}'),
    dataKind: "json",
  };
  const startMs = clock.monotonicMs();
  const outcome = await new Promise<DeliveryOutcome>((settle) =>
    target.deliver({
      event,
      topic: subscription.topic,
      subscription: subscription.id,
      timeoutMs: subscription.delivery.timeoutMs,
      isRedriven: false,
      settle,
    }),
  );
  const durationMs = Math.round(clock.monotonicMs() - startMs);
  const { kind, ...facts } = outcome;
  return { outcome: kind, ...facts, durationMs };
}
