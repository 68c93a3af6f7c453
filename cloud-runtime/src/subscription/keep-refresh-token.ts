import { MeshError } from "@fleetmesh/core";
import type { Metadata } from "../metadata/metadata.ts";
import type { KeepRefreshToken } from "../target/access-tokens.ts";

const attemptsMax = 5;

/**
 * Puts a refresh token into its subscription in place of the one that it replaces. Where the subscription has been given
 * another one meanwhile, that one counts. Rejects with STORE_UNAVAILABLE.
 */
export function refreshTokenKeeper(
  metadata: Pick<Metadata, "subscription" | "putSubscription">,
): KeepRefreshToken {
  return async (id, from, to) => {
    for (let attempt = 1; ; attempt += 1) {
      const kept = metadata.subscription(id);
      if (kept?.sinkcredential?.["refreshtoken"] !== from) return;
      const sinkcredential = { ...kept.sinkcredential, refreshtoken: to };
      try {
        await metadata.putSubscription({ ...kept, sinkcredential, revision: kept.revision + 1 });
        return;
      } catch (error) {
        // Somebody changed it at the same time.
        if (!MeshError.is(error, "SUBSCRIPTION_EXISTS") || attempt === attemptsMax) throw error;
      }
    }
  };
}
