import type { Subscription } from "../../../cloud-runtime/src/metadata/metadata.ts";
import { sampleSubscription } from "../../../cloud-runtime/test/subscription-samples.ts";
import type { Draw } from "./draw.ts";

const backoff = { initialMs: 20, maxMs: 400 };
const patient = { maxAttempts: 1_000, backoff, timeoutMs: 1_000, windowMax: 8, ordered: true };

const menu: readonly Subscription[] = [
  sampleSubscription({ id: "all", topic: "fleet.>", delivery: patient }),
  sampleSubscription({
    id: "odd",
    topic: "fleet.>",
    filters: [{ exact: { type: "odd" } }],
    delivery: { ...patient, windowMax: 2 },
  }),
  sampleSubscription({
    id: "loose",
    topic: "fleet.raw",
    delivery: { ...patient, maxAttempts: 3, ordered: false },
  }),
  sampleSubscription({
    id: "narrow",
    topic: "fleet.status",
    delivery: { ...patient, maxAttempts: 6, whenBlocked: "dead-letter" },
  }),
];

/** One to three of them, with a sink each or, now and then, one for all. */
export function drawSubscriptions(draw: Draw): Subscription[] {
  const isShared = draw.hit(0.2);
  const from = draw.below(menu.length);
  const count = 1 + draw.below(3);
  return Array.from({ length: count }, (_, at) => {
    const subscription = menu[(from + at) % menu.length] as Subscription;
    return isShared ? subscription : { ...subscription, sink: `http://${subscription.id}.test/` };
  });
}
