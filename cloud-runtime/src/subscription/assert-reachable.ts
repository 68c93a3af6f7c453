import { MeshError } from "@fleetmesh/core";
import { hostOf, type AddressGuard, type AddressRules } from "../target/address-guard.ts";
import type { SubscriptionBody } from "./subscription-schema.ts";

/**
 * Refuses a subscription whose sink or token endpoint is not to be spoken to, or would be shown a secret in clear text. Throws
 * SINK_FORBIDDEN or SUBSCRIPTION_INVALID.
 */
export async function assertReachable(
  { sink, sinkcredential }: Pick<SubscriptionBody, "sink" | "sinkcredential">,
  { allowPrivateSinks }: AddressRules,
  guard: AddressGuard,
): Promise<void> {
  const urls: [field: string, url: string][] = [["sink", sink]];
  for (const field of ["tokenendpoint", "refreshtokenendpoint"]) {
    const url = Object.entries(sinkcredential ?? {}).find(([name]) => name === field)?.[1];
    if (url !== undefined) urls.push([`sinkcredential.${field}`, url]);
  }
  for (const [field, text] of urls) {
    const url = new URL(text);
    await guard.assertResolves(hostOf(url));
    if (sinkcredential === undefined || allowPrivateSinks || url.protocol === "https:") continue;
    const said = `${field}: must be https, since a credential goes there`;
    throw new MeshError("SUBSCRIPTION_INVALID", said);
  }
}
