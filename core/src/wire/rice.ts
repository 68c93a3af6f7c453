import type { BitReader } from "./bit-reader.ts";
import type { BitWriter } from "./bit-writer.ts";

/**
 * Adaptive Rice code of whole numbers from 0 to 2^53-1: a number is its upper part in unary and its k low bits, with k
 * following the mean of the last numbers, so that a column of small changes costs little more than its entropy
 * without any table. Twelve one bits announce an outlier: 6 bits hold its length - 1, then come its bits.
 */
const unaryMax = 12;
export const lowBitsMax = 20;
const memory = 16;
/** From here on a number is an outlier at any k; below it all arithmetic is of 32-bit integers. */
const outlierMin = unaryMax << lowBitsMax;

/** The mean that both sides follow. */
class RiceMean {
  #sum: number;
  #count = 1;
  lowBits: number;

  constructor(lowBits: number) {
    this.#sum = 1 << lowBits;
    this.lowBits = lowBits;
  }

  /** Takes part in the mean with at most what unary can tell: one outlier does not spoil what follows. */
  add(value: number): void {
    let lowBits = this.lowBits;
    const most = unaryMax << lowBits;
    let sum = this.#sum + (value > most ? most : value);
    let count = this.#count + 1;
    if (count >= memory) {
      sum >>= 1;
      count >>= 1;
    }
    while (lowBits < lowBitsMax && count << lowBits < sum) lowBits += 1;
    while (lowBits > 0 && count << (lowBits - 1) >= sum) lowBits -= 1;
    this.#sum = sum;
    this.#count = count;
    this.lowBits = lowBits;
  }
}

/** Where the mean starts, as both sides know it from the column's head. */
export function startOf(values: Float64Array): number {
  let sum = 0;
  const count = Math.min(values.length, memory);
  for (let index = 0; index < count; index += 1) sum += values[index] as number;
  const mean = sum / Math.max(1, count);
  return mean < 1 ? 0 : Math.min(lowBitsMax, bitLength(mean) - 1);
}

/** How many bits `writeRice` takes, its start not counted. */
export function riceCost(values: Float64Array, start: number): number {
  const mean = new RiceMean(start);
  let cost = 0;
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index] as number;
    const upper = value < outlierMin ? value >> mean.lowBits : unaryMax;
    cost += upper < unaryMax ? upper + 1 + mean.lowBits : unaryMax + 6 + bitLength(value);
    mean.add(value);
  }
  return cost;
}

export function writeRice(out: BitWriter, values: Float64Array, start: number): void {
  const mean = new RiceMean(start);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index] as number;
    const { lowBits } = mean;
    const upper = value < outlierMin ? value >> lowBits : unaryMax;
    if (upper < unaryMax) {
      const unary = (1 << upper) - 1;
      const low = value & ((1 << lowBits) - 1);
      if (upper + 1 + lowBits <= 24) {
        out.bits(unary | (low << (upper + 1)), upper + 1 + lowBits);
      } else {
        out.bits(unary, upper + 1);
        out.bits(low, lowBits);
      }
    } else {
      out.bits((1 << unaryMax) - 1, unaryMax);
      out.bits(bitLength(value) - 1, 6);
      out.longBits(value, bitLength(value));
    }
    mean.add(value);
  }
}

/** Reads numbers one by one; each must be asked for exactly as often as it was written. */
export class RiceReader {
  readonly #input: BitReader;
  readonly #mean: RiceMean;

  constructor(input: BitReader, start: number) {
    this.#input = input;
    this.#mean = new RiceMean(start);
  }

  next(): number {
    const input = this.#input;
    const upper = input.ones(unaryMax);
    const value =
      upper < unaryMax
        ? (upper << this.#mean.lowBits) + input.bits(this.#mean.lowBits)
        : input.longBits(input.bits(6) + 1);
    this.#mean.add(value);
    return value;
  }
}

/** Bits of a number, at least 1. */
export function bitLength(value: number): number {
  if (value < 0x80000000) return 32 - Math.clz32(value | 1);
  return 64 - Math.clz32(Math.floor(value / 0x100000000));
}
