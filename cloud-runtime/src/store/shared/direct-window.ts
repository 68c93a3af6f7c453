import { MeshError } from "@fleetmesh/core";

/**
 * The last identities of direct publishers, oldest first, each with a digest of its content. Lookup and decision are one
 * place for all stores: an append is judged as a whole before any of it is remembered.
 */
export class DirectWindow {
  readonly #countMax: number;
  readonly #digests = new Map<string, string>();

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#digests.size;
  }

  /**
   * Indexes of the events that are new. Throws EVENT_CONFLICT with details.index when one is known with other content,
   * in the window or earlier in the same append.
   */
  judge(identities: readonly (readonly [key: string, digest: string])[]): number[] {
    const fresh: number[] = [];
    const seen = new Map<string, string>();
    for (const [index, [key, digest]] of identities.entries()) {
      const known = this.#digests.get(key) ?? seen.get(key);
      if (known === undefined) {
        seen.set(key, digest);
        fresh.push(index);
      } else if (known !== digest) {
        throw new MeshError(
          "EVENT_CONFLICT",
          `Event ${index} is stored already with other content`,
          { details: { index } },
        );
      }
    }
    return fresh;
  }

  /** The content that a key is known with. */
  digestOf(key: string): string | undefined {
    return this.#digests.get(key);
  }

  /** Takes over what another window remembers. */
  adopt(other: DirectWindow): void {
    for (const [key, digest] of other.#digests) this.#digests.set(key, digest);
  }

  remember(key: string, digest: string): void {
    this.#digests.set(key, digest);
  }

  /** Lets go of the oldest beyond the bound; apart from `remember`, so that a failed commit can be taken back whole. */
  shrink(): void {
    for (const key of this.#digests.keys()) {
      if (this.#digests.size <= this.#countMax) return;
      this.#digests.delete(key);
    }
  }
}
