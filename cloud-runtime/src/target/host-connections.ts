/**
 * Bounds the connections to a host, however many subscriptions push there. Each target that has one open gets the same share,
 * and never less than one: a slow subscription cannot take the places of another.
 */
export class HostConnections {
  readonly #perHostMax: number;
  /** Targets with a connection, by `host:port`. */
  readonly #users = new Map<string, number>();

  constructor(perHostMax: number) {
    this.#perHostMax = perHostMax;
  }

  /** A target opens its first connection there. */
  join(host: string): void {
    this.#users.set(host, this.#usersOf(host) + 1);
  }

  /** It has closed its last one. */
  leave(host: string): void {
    const users = this.#usersOf(host) - 1;
    if (users > 0) this.#users.set(host, users);
    else this.#users.delete(host);
  }

  /** How many connections a target may have there now that has some already, or has none yet. */
  shareOf(host: string, hasSome: boolean): number {
    const users = this.#usersOf(host) + (hasSome ? 0 : 1);
    return Math.max(1, Math.floor(this.#perHostMax / users));
  }

  #usersOf(host: string): number {
    return this.#users.get(host) ?? 0;
  }
}
