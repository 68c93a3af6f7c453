import { isIPv6 } from "node:net";
import { MeshError, type Clock } from "@fleetmesh/core";

export interface FailureThrottleOptions {
  readonly clock: Clock;
  /** Refused attempts an address has within the window; default 20. */
  readonly failureMax?: number;
  /** Milliseconds after the first failure in which they are counted; default one minute. */
  readonly windowMs?: number;
  /** Addresses remembered; the one seen failing first is forgotten first. Default 10,000. */
  readonly addressMax?: number;
}

interface Failures {
  count: number;
  readonly untilMs: number;
}

/** Remembers who was refused too often. Memory is bounded: at the bound the oldest entry goes. */
export class FailureThrottle {
  readonly #clock: Clock;
  readonly #failureMax: number;
  readonly #windowMs: number;
  readonly #addressMax: number;
  readonly #failures = new Map<string, Failures>();

  constructor(options: FailureThrottleOptions) {
    this.#clock = options.clock;
    this.#failureMax = options.failureMax ?? 20;
    this.#windowMs = options.windowMs ?? 60_000;
    this.#addressMax = options.addressMax ?? 10_000;
  }

  get addressCount(): number {
    return this.#failures.size;
  }

  /** Throws TOO_MANY_FAILURES while the address has used up its attempts. */
  check(address: string): void {
    const known = this.#current(networkOf(address));
    if (!known || known.count < this.#failureMax) return;
    const waitMs = known.untilMs - this.#clock.monotonicMs();
    throw new MeshError("TOO_MANY_FAILURES", "Too many refused attempts from this address", {
      retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
    });
  }

  record(address: string): void {
    const network = networkOf(address);
    const known = this.#current(network);
    if (known) {
      known.count += 1;
      return;
    }
    if (this.#failures.size >= this.#addressMax) {
      for (const oldest of this.#failures.keys()) {
        this.#failures.delete(oldest);
        break;
      }
    }
    this.#failures.set(network, { count: 1, untilMs: this.#clock.monotonicMs() + this.#windowMs });
  }

  #current(network: string): Failures | undefined {
    const known = this.#failures.get(network);
    if (!known || known.untilMs > this.#clock.monotonicMs()) return known;
    this.#failures.delete(network);
    return undefined;
  }
}

/** One IPv6 subscriber owns a /64, so single addresses of it would be free to change; IPv4 in IPv6 is IPv4. */
export function networkOf(address: string): string {
  const plain = address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, "");
  if (!isIPv6(plain)) return plain;
  const [head = "", tail = ""] = (plain.split("%")[0] ?? "").split("::");
  const first = head === "" ? [] : head.split(":");
  const last = tail === "" ? [] : tail.split(":");
  const zeros = plain.includes("::") ? Math.max(0, 8 - first.length - last.length) : 0;
  const groups = [...first, ...Array<string>(zeros).fill("0"), ...last];
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":");
}
