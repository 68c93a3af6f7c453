import type { BitReader } from "./bit-reader.ts";
import type { BitWriter } from "./bit-writer.ts";
import { ColumnMemory } from "./column-memory.ts";
import { bitLength, lowBitsMax, riceCost, RiceReader, startOf, writeRice } from "./rice.ts";
import { wireInvalid } from "./wire-invalid.ts";

/**
 * A column of whole numbers below 10^15 in size. Head: 2 bits coding, 2 bits order (how many times differences are
 * taken: 0 raw, 1 delta, 2 delta of delta). The smallest of all is written.
 *
 *   0 constant    the value
 *   1 rice        the first `order` values or differences, then 5 bits start and the others in Rice code
 *   2 runs        as rice, but as runs: how many zeros, then one number other than 0 (less 1), each in a Rice code of its own
 *   3 dictionary  varint n, n values, then for each row its number of bits(n - 1) bits
 *
 * A value is a zigzag varint; in Rice code zigzag too.
 */
export const columnValueMax = 1e15;
const coding = { constant: 0, rice: 1, runs: 2, dictionary: 3 } as const;
const dictionaryMax = 64;

interface Plan {
  readonly cost: number;
  readonly write: (out: BitWriter) => void;
}

export function writeNumbers(out: BitWriter, values: Float64Array): void {
  if (isConstant(values)) {
    out.bits(coding.constant, 4);
    if (values.length > 0) writeSigned(out, values[0] ?? 0);
    return;
  }
  if (out.effort === "fast") {
    writeQuickly(out, values);
    return;
  }
  const order = bestOrder(values, values.length);
  const zigzags = zigzagDifferences(values, order);
  let best = ricePlan(values, order, zigzags);
  const runs = runsPlan(values, order, zigzags);
  if (runs !== undefined && runs.cost < best.cost) best = runs;
  const dictionary = dictionaryPlan(values, best.cost);
  if (dictionary !== undefined && dictionary.cost < best.cost) best = dictionary;
  best.write(out);
}

/** The order that suits the first rows, in runs where most numbers are 0: no other form is tried. */
function writeQuickly(out: BitWriter, values: Float64Array): void {
  const order = bestOrder(values, Math.min(sampleRows, values.length));
  const zigzags = zigzagDifferences(values, order);
  const isMostlyZero = countOthers(zigzags) * 3 <= zigzags.length;
  if (isMostlyZero) writeRuns(out, { values, order, runs: runsOf(zigzags) });
  else writeRiceColumn(out, { values, order, zigzags });
}
const sampleRows = 24;

/** About how many bits the column takes in Rice code. */
export function riceColumnCost(values: Float64Array): number {
  const order = bestOrder(values, values.length);
  return ricePlan(values, order, zigzagDifferences(values, order)).cost;
}

interface Differences {
  readonly order: number;
  readonly zigzags: Float64Array;
}

/** The order whose numbers are shortest in the first rows: near enough to the cost in code, and much cheaper to find. */
function bestOrder(values: Float64Array, rowCount: number): number {
  let [raw, once, twice] = [0, 0, 0];
  let last = 0;
  let lastDelta = 0;
  for (let row = 0; row < rowCount; row += 1) {
    const value = values[row] as number;
    const delta = value - last;
    raw += bitLength(zigzag(value));
    if (row > 0) once += bitLength(zigzag(delta));
    if (row > 1) twice += bitLength(zigzag(delta - lastDelta));
    last = value;
    lastDelta = delta;
  }
  if (rowCount > 2 && twice < once && twice < raw) return 2;
  return rowCount > 1 && once < raw ? 1 : 0;
}

function isConstant(values: Float64Array): boolean {
  const first = values[0];
  for (let row = 1; row < values.length; row += 1) if (values[row] !== first) return false;
  return true;
}

const zigzagMemory = new ColumnMemory();
const lengthMemory = new ColumnMemory();
const otherMemory = new ColumnMemory();

/** The values behind the heads: differences of the order, zigzagged. Good until it is called again. */
function zigzagDifferences(values: Float64Array, order: number): Float64Array {
  const result = zigzagMemory.of(values.length - order);
  let last = order === 0 ? 0 : (values[order - 1] as number);
  let lastDelta = order === 2 ? last - (values[0] as number) : 0;
  for (let index = order; index < values.length; index += 1) {
    const value = values[index] as number;
    const delta = value - last;
    if (order === 0) result[index] = zigzag(value);
    else result[index - order] = zigzag(order === 1 ? delta : delta - lastDelta);
    last = value;
    lastDelta = delta;
  }
  return result;
}

function ricePlan(values: Float64Array, order: number, zigzags: Float64Array): Plan {
  return {
    cost: headCost(values, order) + 5 + riceCost(zigzags, startOf(zigzags)),
    write: (out) => writeRiceColumn(out, { values, order, zigzags }),
  };
}

function writeRiceColumn(
  out: BitWriter,
  { values, order, zigzags }: Differences & { readonly values: Float64Array },
): void {
  const start = startOf(zigzags);
  writeHead(out, coding.rice, order);
  writeHeads(out, values, order);
  out.bits(start, 5);
  writeRice(out, zigzags, start);
}

/** Undefined where zeros are too few to pay. */
function runsPlan(values: Float64Array, order: number, zigzags: Float64Array): Plan | undefined {
  if (countOthers(zigzags) * 2 > zigzags.length) return undefined;
  const runs = runsOf(zigzags);
  const { lengths, others } = runs;
  const cost = riceCost(lengths, startOf(lengths)) + riceCost(others, startOf(others));
  return {
    cost: headCost(values, order) + 10 + cost,
    write: (out) => writeRuns(out, { values, order, runs }),
  };
}

interface RunsColumn {
  readonly values: Float64Array;
  readonly order: number;
  readonly runs: { readonly lengths: Float64Array; readonly others: Float64Array };
}

function writeRuns(out: BitWriter, { values, order, runs }: RunsColumn): void {
  const { lengths, others } = runs;
  const lengthStart = startOf(lengths);
  const otherStart = startOf(others);
  writeHead(out, coding.runs, order);
  writeHeads(out, values, order);
  out.bits(lengthStart, 5);
  out.bits(otherStart, 5);
  writeRice(out, lengths, lengthStart);
  writeRice(out, others, otherStart);
}

function countOthers(zigzags: Float64Array): number {
  let count = 0;
  for (let index = 0; index < zigzags.length; index += 1) if (zigzags[index] !== 0) count += 1;
  return count;
}

/** Every run ends with a number other than 0, but for a last run that ends with the column. */
function runsOf(zigzags: Float64Array): { lengths: Float64Array; others: Float64Array } {
  const lengths = lengthMemory.of(zigzags.length + 1);
  const others = otherMemory.of(zigzags.length);
  let runs = 0;
  let zeros = 0;
  for (let index = 0; index < zigzags.length; index += 1) {
    const value = zigzags[index] as number;
    if (value === 0) {
      zeros += 1;
      continue;
    }
    others[runs] = value - 1;
    lengths[runs++] = zeros;
    zeros = 0;
  }
  const otherCount = runs;
  if (zeros > 0) lengths[runs++] = zeros;
  return { lengths: lengths.subarray(0, runs), others: others.subarray(0, otherCount) };
}

/** Undefined as soon as it is clear that indices alone would cost more than what is known to be possible. */
function dictionaryPlan(values: Float64Array, costMax: number): Plan | undefined {
  const numbers = new Map<number, number>();
  const sizeMax = Math.min(dictionaryMax, 2 ** Math.floor(costMax / values.length));
  for (let row = 0; row < values.length; row += 1) {
    const value = values[row] ?? 0;
    if (numbers.has(value)) continue;
    if (numbers.size >= sizeMax) return undefined;
    numbers.set(value, numbers.size);
  }
  const width = widthOf(numbers.size);
  let cost = 12 + width * values.length;
  for (const value of numbers.keys()) cost += signedCost(value);
  return {
    cost,
    write(out) {
      writeHead(out, coding.dictionary, 0);
      out.varint(numbers.size);
      for (const value of numbers.keys()) writeSigned(out, value);
      for (const value of values) out.bits(numbers.get(value) ?? 0, width);
    },
  };
}

function widthOf(count: number): number {
  return count < 2 ? 0 : 32 - Math.clz32(count - 1);
}

function writeHead(out: BitWriter, kind: number, order: number): void {
  out.bits(kind | (order << 2), 4);
}

function writeHeads(out: BitWriter, values: Float64Array, order: number): void {
  if (order > 0) writeSigned(out, values[0] ?? 0);
  if (order > 1) writeSigned(out, (values[1] ?? 0) - (values[0] ?? 0));
}

function headCost(values: Float64Array, order: number): number {
  let cost = 4;
  if (order > 0) cost += signedCost(values[0] ?? 0);
  if (order > 1) cost += signedCost((values[1] ?? 0) - (values[0] ?? 0));
  return cost;
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

function writeSigned(out: BitWriter, value: number): void {
  out.varint(zigzag(value));
}

function signedCost(value: number): number {
  return 8 * Math.max(1, Math.ceil(Math.log2(zigzag(value) + 1) / 7));
}

/** Throws WIRE_INVALID when the column cannot be one of `count` numbers below 2^53. */
export function readNumbers(input: BitReader, count: number): Float64Array {
  const values = new Float64Array(count);
  const kind = input.bits(2);
  const order = input.bits(2);
  if (order > 2 || (order >= count && order > 0)) throw wireInvalid("a column has no such order");
  if (count === 0) return values;
  if (kind === coding.constant) return values.fill(unzigzag(input.varint()));
  if (kind === coding.dictionary) return readDictionary(input, values);
  if (order > 0) values[0] = unzigzag(input.varint());
  if (order > 1) values[1] = (values[0] ?? 0) + unzigzag(input.varint());
  if (kind === coding.rice) readRice(input, values, order);
  else readRuns(input, values, order);
  return addUp(values, order);
}

function readDictionary(input: BitReader, values: Float64Array): Float64Array {
  const size = input.varint();
  if (size === 0 || size > dictionaryMax) throw wireInvalid(`a dictionary has ${size} numbers`);
  const known = Float64Array.from({ length: size }, () => unzigzag(input.varint()));
  const width = widthOf(size);
  for (let row = 0; row < values.length; row += 1) {
    const value = known[input.bits(width)];
    if (value === undefined) throw wireInvalid("a row is not in its dictionary");
    values[row] = value;
  }
  return values;
}

function readRice(input: BitReader, values: Float64Array, order: number): void {
  const rice = new RiceReader(input, readStart(input));
  for (let row = order; row < values.length; row += 1) values[row] = unzigzag(rice.next());
}

function readRuns(input: BitReader, values: Float64Array, order: number): void {
  const lengthStart = readStart(input);
  const otherStart = readStart(input);
  const lengths = new RiceReader(input, lengthStart);
  const rows: number[] = [];
  for (let row = order; row < values.length; row += 1) {
    row += lengths.next();
    if (row > values.length) throw wireInvalid("a run goes past the end of its column");
    if (row < values.length) rows.push(row);
  }
  const others = new RiceReader(input, otherStart);
  for (const row of rows) values[row] = unzigzag(others.next() + 1);
}

function readStart(input: BitReader): number {
  const start = input.bits(5);
  if (start > lowBitsMax) throw wireInvalid(`a Rice code starts beyond ${lowBitsMax} bits`);
  return start;
}

/** Differences become values, in place. */
function addUp(values: Float64Array, order: number): Float64Array {
  let last = values[order - 1] ?? 0;
  let delta = order === 2 ? last - (values[0] ?? 0) : 0;
  for (let row = order; row < values.length; row += 1) {
    const number = values[row] ?? 0;
    delta = order === 2 ? delta + number : number;
    last = order === 0 ? number : last + delta;
    if (!Number.isSafeInteger(last)) throw wireInvalid("a column's number is beyond 2^53");
    values[row] = last;
  }
  return values;
}
