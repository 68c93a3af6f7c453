import { lookup as dnsLookup, type LookupAddress, type LookupAllOptions } from "node:dns";
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
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const;
/** The translated forms (6to4, NAT64, SIIT, Teredo) can carry any IPv4 address, so they are closed as a whole. */
const subnets6 = [
  ["::", 96],
  ["::ffff:0:0:0", 96],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["100::", 64],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
  ["5f00::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
] as const;
for (const [network, prefix] of subnets4) notPublic.addSubnet(network, prefix, "ipv4");
for (const [network, prefix] of subnets6) notPublic.addSubnet(network, prefix, "ipv6");

/** Asks for all addresses of a name, as `dns.lookup` does. */
export type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

export interface AddressRules {
  /** Loopback and private addresses are allowed; for development. */
  readonly allowPrivateSinks: boolean;
  /** Networks in CIDR notation that are allowed although they are not public. */
  readonly allowSinkNetworks?: readonly string[] | undefined;
  /** The system's resolver when left out. */
  readonly resolve?: Resolve | undefined;
}

/**
 * Where pushes, and what belongs to them, may go. An address in a URL is judged at once, that of a name when it is looked up:
 * the socket connects to exactly the address that was judged, so a name that changes its answer between check and use gains
 * nothing. One address of a name that is not allowed closes the name.
 */
export class AddressGuard {
  /** A resolver for sockets that gives out allowed addresses only; undefined where all are allowed. */
  readonly lookup: LookupFunction | undefined;
  readonly #allowsAll: boolean;
  readonly #allowed = new BlockList();
  readonly #resolve: Resolve;

  constructor({ allowPrivateSinks, allowSinkNetworks = [], resolve = dnsLookup }: AddressRules) {
    this.#allowsAll = allowPrivateSinks;
    this.#resolve = resolve;
    for (const network of allowSinkNetworks) addNetwork(this.#allowed, network);
    if (!allowPrivateSinks)
      this.lookup = (hostname, options, callback) => this.#lookup(hostname, options, callback);
  }

  isAllowed(address: string): boolean {
    const family = isIP(address);
    if (family === 0) return false;
    if (this.#allowsAll || isPublicAddress(address)) return true;
    return this.#allowed.check(address, family === 4 ? "ipv4" : "ipv6");
  }

  /** Refuses what can be told from the host of a URL alone. Throws SINK_FORBIDDEN. */
  assertHost(host: string): void {
    if (this.#allowsAll) return;
    const name = host.toLowerCase().replace(/\.$/, "");
    const isLocalName = name === "localhost" || name.endsWith(".localhost");
    if (isLocalName && !this.isAllowed("127.0.0.1")) throw sinkForbidden(host);
    if (isIP(host) !== 0 && !this.isAllowed(host)) throw sinkForbidden(host);
  }

  /** The same, asking the resolver too. A name that does not resolve now is let through: each connection is checked again. */
  async assertResolves(host: string): Promise<void> {
    this.assertHost(host);
    if (this.#allowsAll || isIP(host) !== 0) return;
    const addresses = await new Promise<readonly LookupAddress[]>((settle) =>
      this.#resolve(host, { all: true }, (error, found) => settle(error ? [] : found)),
    );
    if (addresses.some(({ address }) => !this.isAllowed(address))) throw sinkForbidden(host);
  }

  #lookup(...[hostname, options, callback]: Parameters<LookupFunction>): void {
    this.#resolve(hostname, { ...options, all: true }, (error, found?: LookupAddress[]) => {
      const addresses = found ?? [];
      const [first] = addresses;
      if (error || !first) {
        callback(error ?? new Error(`${hostname} has no address`), "", 0);
      } else if (addresses.some(({ address }) => !this.isAllowed(address))) {
        callback(sinkForbidden(hostname), "", 0);
      } else if (options.all) {
        callback(null, addresses);
      } else {
        callback(null, first.address, first.family);
      }
    });
  }
}

/** Whether an IP address is reachable for everybody: not private, loopback, link-local, reserved, nor a disguise of these. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  // An IPv4-mapped IPv6 address is judged as the IPv4 address it stands for (the list does that itself).
  return !notPublic.check(address, family === 4 ? "ipv4" : "ipv6");
}

/** `10.1.0.0/16`, `fd00:1::/64`, or an address for itself alone. */
export function isNetwork(text: string): boolean {
  try {
    addNetwork(new BlockList(), text);
    return true;
  } catch {
    return false;
  }
}

/** The host of a URL as an address or name, without the brackets of IPv6. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "");
}

function addNetwork(list: BlockList, text: string): void {
  const [address = "", prefix] = text.split("/");
  const family = isIP(address) === 4 ? "ipv4" : "ipv6";
  if (isIP(address) === 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix)))
    throw new RangeError(`${text} is not a network`);
  list.addSubnet(
    address,
    prefix === undefined ? (family === "ipv4" ? 32 : 128) : Number(prefix),
    family,
  );
}

function sinkForbidden(host: string): MeshError {
  return new MeshError(
    "SINK_FORBIDDEN",
    `The sink ${host} is or resolves to an address that is not public`,
    { details: { host } },
  );
}
