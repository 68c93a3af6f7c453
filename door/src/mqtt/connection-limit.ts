import { networkOf } from "../auth/failure-throttle.ts";

/** Counts live connections per address (an IPv6 /64 is one address). Remembers only who is connected. */
export class ConnectionLimit {
  readonly #perAddressMax: number;
  readonly #counts = new Map<string, number>();

  constructor(perAddressMax: number) {
    this.#perAddressMax = perAddressMax;
  }

  /** False when the address has all it may have; after true, `leave` must follow once. */
  enter(address: string): boolean {
    const network = networkOf(address);
    const count = this.#counts.get(network) ?? 0;
    if (count >= this.#perAddressMax) return false;
    this.#counts.set(network, count + 1);
    return true;
  }

  leave(address: string): void {
    const network = networkOf(address);
    const count = (this.#counts.get(network) ?? 0) - 1;
    if (count > 0) this.#counts.set(network, count);
    else this.#counts.delete(network);
  }
}
