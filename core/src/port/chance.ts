import { randomBytes, randomUUID } from "node:crypto";

/** Randomness as a port: jitter, epochs and ids come from here, so that a seed repeats a run. */
export interface Chance {
  /** Uniform in [0, 1). */
  float(): number;
  /** A fresh 64-bit number as 16 lower-case hex digits. */
  hex64(): string;
  uuid(): string;
}

export const systemChance: Chance = {
  float: () => Math.random(),
  hex64: () => randomBytes(8).toString("hex"),
  uuid: () => randomUUID(),
};

/** mulberry32: small, fast, good enough to choose faults and drives; never for secrets. */
export function seededChance(seed: number): Chance {
  let state = seed >>> 0;
  const next32 = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const hex32 = (): string => next32().toString(16).padStart(8, "0");
  return {
    float: () => next32() / 2 ** 32,
    hex64: () => hex32() + hex32(),
    uuid: () => {
      const hex = hex32() + hex32() + hex32() + hex32();
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
    },
  };
}
