import type { Chance } from "@fleetmesh/core";

/** A number as a bus carries it: a multiple of the signal's step, without the noise of binary fractions. */
export function quantise(value: number, step: number): number {
  const scaled = Math.round(value / step) * step;
  return Number(scaled.toFixed(6));
}

/** About normal noise with the given deviation: four uniform draws. */
export function noise(chance: Chance, deviation: number): number {
  const sum = chance.float() + chance.float() + chance.float() + chance.float() - 2;
  return sum * deviation * Math.sqrt(3);
}

/** An error that wanders, as that of a satellite receiver does. */
export class WanderingError {
  value = 0;
  readonly #chance: Chance;
  readonly #deviation: number;

  constructor(chance: Chance, deviation: number) {
    this.#chance = chance;
    this.#deviation = deviation;
  }

  step(): void {
    this.value = 0.97 * this.value + noise(this.#chance, 0.24 * this.#deviation);
  }
}
