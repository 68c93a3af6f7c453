import type { Chance } from "@fleetmesh/core";

/** Choices of a schedule, all from one seed. */
export class Draw {
  readonly chance: Chance;

  constructor(chance: Chance) {
    this.chance = chance;
  }

  /** True with this probability. */
  hit(probability: number): boolean {
    return this.chance.float() < probability;
  }

  /** A whole number from 0 to below the bound; small ones more often with a higher skew. */
  below(bound: number, skew = 1): number {
    return Math.floor(this.chance.float() ** skew * bound);
  }

  oneOf<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  /** Often 0, else up to the bound: faults come alone more often than all at once. */
  rate(max: number): number {
    return this.hit(0.5) ? 0 : this.chance.float() * max;
  }
}
