import type { Subscription } from "../metadata/metadata.ts";

/** Only the state differs: no need to let go of what is in hand. */
export function isSameButState(kept: Subscription, wanted: Subscription): boolean {
  const bare = (one: Subscription): string =>
    JSON.stringify({ ...one, state: "", stateReason: "", revision: 0 });
  return bare(kept) === bare(wanted);
}
