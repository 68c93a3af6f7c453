import { lookup as dnsLookup, type LookupAddress } from "node:dns";
import { lookup as lookupNow } from "node:dns/promises";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { MeshError } from "@fleetmesh/core";

const notPublic = new BlockList();
const subnets4 = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const;
/** The translated forms (6to4, NAT64, Teredo) can carry any IPv4 address, so they are closed as a whole. */
const subnets6 = [
  ["::", 96],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["100::", 64],
  ["2001::", 32],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
] as const;
for (const [network, prefix] of subnets4) notPublic.addSubnet(network, prefix, "ipv4");
for (const [network, prefix] of subnets6) notPublic.addSubnet(network, prefix, "ipv6");

/** Whether an IP address is reachable for everybody: not private, loopback, link-local, reserved, nor a disguise of these. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  // An IPv4-mapped IPv6 address is judged as the IPv4 address it stands for (the list does that itself).
  return !notPublic.check(address, family === 4 ? "ipv4" : "ipv6");
}

/** The host of a URL as an address or name, without the brackets of IPv6. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "");
}

function sinkForbidden(host: string): MeshError {
  return new MeshError(
    "SINK_FORBIDDEN",
    `The sink ${host} is or resolves to an address that is not public`,
    { details: { host } },
  );
}

/** Refuses what can be told from the URL alone. Throws SINK_FORBIDDEN. */
export function assertPublicHost(host: string): void {
  const name = host.toLowerCase().replace(/\.$/, "");
  const isLocalName = name === "localhost" || name.endsWith(".localhost");
  if (isLocalName || (isIP(host) !== 0 && !isPublicAddress(host))) throw sinkForbidden(host);
}

/** The same, asking the resolver too. A name that does not resolve now is let through: each connection is checked again. */
export async function assertResolvesPublic(host: string): Promise<void> {
  assertPublicHost(host);
  const addresses = await lookupNow(host, { all: true }).catch(() => []);
  if (addresses.some(({ address }) => !isPublicAddress(address))) throw sinkForbidden(host);
}

/**
 * A resolver for sockets that gives out public addresses only. The socket connects to exactly the address that was checked
 * here, so a name that changes its answer between check and use gains nothing.
 */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  dnsLookup(hostname, { ...options, all: true }, (error, found?: LookupAddress[]) => {
    const addresses = found ?? [];
    const [first] = addresses;
    if (error || !first) {
      callback(error ?? new Error(`${hostname} has no address`), "", 0);
    } else if (addresses.some(({ address }) => !isPublicAddress(address))) {
      callback(sinkForbidden(hostname), "", 0);
    } else if (options.all) {
      callback(null, addresses);
    } else {
      callback(null, first.address, first.family);
    }
  });
};
