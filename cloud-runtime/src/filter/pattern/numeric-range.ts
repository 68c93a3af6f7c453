import { invalidFilter } from "../invalid-filter.ts";
import { shown } from "../shown.ts";

type Comparison = (value: number, bound: number) => boolean;

const comparisons: Readonly<Record<string, Comparison>> = {
  "=": (value, bound) => value === bound,
  "!=": (value, bound) => value !== bound,
  ">": (value, bound) => value > bound,
  ">=": (value, bound) => value >= bound,
  "<": (value, bound) => value < bound,
  "<=": (value, bound) => value <= bound,
};
const pairCountMax = 4;

/** `[operator, number]` up to four times in one list; all must hold. */
export function compileNumericRange(operand: unknown, path: string): (value: number) => boolean {
  if (!Array.isArray(operand) || operand.length < 2 || operand.length % 2 !== 0)
    throw invalidFilter(path, 'must be a list of operators and numbers, such as [">", 0, "<=", 5]');
  if (operand.length > 2 * pairCountMax)
    throw invalidFilter(path, `has more than ${pairCountMax} comparisons`);
  const pairs = Array.from({ length: operand.length / 2 }, (_, index) => ({
    compare: comparisonOf(operand[2 * index], `${path}[${2 * index}]`),
    bound: numberOf(operand[2 * index + 1], `${path}[${2 * index + 1}]`),
    operator: String(operand[2 * index]),
  }));
  assertPossible(pairs, path);
  return (value) => pairs.every(({ compare, bound }) => compare(value, bound));
}

function comparisonOf(name: unknown, path: string): Comparison {
  const known = typeof name === "string" && Object.hasOwn(comparisons, name);
  const comparison = known ? comparisons[name] : undefined;
  if (comparison) return comparison;
  const names = Object.keys(comparisons).join(" ");
  throw invalidFilter(path, `must be one of ${names}, not ${shown(name) ?? "nothing"}`);
}

function numberOf(value: unknown, path: string): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw invalidFilter(path, `must be a number, not ${shown(value) ?? "nothing"}`);
}

interface Pair {
  readonly operator: string;
  readonly bound: number;
}

/** A range written the wrong way round would never match anything, in silence. */
function assertPossible(pairs: readonly Pair[], path: string): void {
  const bounds = (sign: string): number[] =>
    pairs.filter(({ operator }) => operator.startsWith(sign)).map(({ bound }) => bound);
  const low = Math.max(...bounds(">"), ...bounds("="));
  const high = Math.min(...bounds("<"), ...bounds("="));
  const isOpen = pairs.some(
    ({ operator, bound }) => (operator === ">" || operator === "<") && bound === low,
  );
  if (low > high || (low === high && isOpen))
    throw invalidFilter(path, "can never hold: its lower bound lies above its upper bound");
}
