import { isIP } from "node:net";
import { MeshError } from "../error/mesh-error.ts";

/**
 * For what is answered without a token because only this machine asks. A page from elsewhere can let its own name point at
 * 127.0.0.1 and read it in a visitor's browser; it cannot hide that name. While listening on loopback, only addresses and
 * names of loopback are answered; a port opened to the network is asked by whatever name it has there.
 */
export function isOwnHost(hostHeader: string | undefined, listensOn: string): boolean {
  if (hostHeader === undefined || !isLoopbackName(listensOn)) return true;
  const name = hostHeader.replace(/:\d*$/, "").replace(/^\[|\]$/g, "");
  return isIP(name) !== 0 || isLoopbackName(name);
}

/** The same, throwing HOST_UNKNOWN. */
export function assertOwnHost(hostHeader: string | undefined, listensOn: string): void {
  if (isOwnHost(hostHeader, listensOn)) return;
  throw new MeshError("HOST_UNKNOWN", "This port answers to this machine's own names only");
}

function isLoopbackName(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  return /^(127\.[\d.]+|::1|localhost|[a-z0-9.-]+\.localhost)$/.test(name);
}
