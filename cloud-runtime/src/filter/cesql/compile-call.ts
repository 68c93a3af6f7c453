import { toBoolean, toInteger } from "./cast.ts";
import { asBoolean, asInteger, asText } from "./coerce.ts";
import type { Call } from "./expression.ts";
import { functions, Refusal, takes, takesText, type CesqlFunction } from "./functions.ts";
import type { Meter } from "./meter.ts";
import { tooLong } from "./too-long.ts";
import { Fault, type Code, type Run, type Value } from "./value.ts";

/** The casting functions take one value of any type. */
const casts: ReadonlyMap<string, (operand: Code, at: number) => Code> = new Map([
  ["INT", (operand, at): Code => ({ type: "integer", run: asInteger(operand, at) })],
  ["BOOL", (operand, at): Code => ({ type: "boolean", run: asBoolean(operand, at) })],
  ["STRING", (operand): Code => ({ type: "text", run: asText(operand) })],
  ["IS_INT", ({ run }): Code => castable(run, (value) => toInteger(value) !== undefined)],
  ["IS_BOOL", ({ run }): Code => castable(run, (value) => toBoolean(value) !== undefined)],
]);

export const functionNames: readonly string[] = [...casts.keys(), ...functions.keys()];

/** Why there is no such function; undefined when there is. */
export function missingFunction({ name, operands }: Call): string | undefined {
  const known = functions.get(name);
  if (known === undefined && !casts.has(name)) return `there is no function ${name.slice(0, 40)}`;
  const isTaken = known ? takes(known, operands.length) : operands.length === 1;
  if (isTaken) return undefined;
  const wanted = known ? takesText(known) : "1 argument";
  return `${name} takes ${wanted}, not ${operands.length}`;
}

interface Arguments {
  readonly operands: readonly Code[];
  readonly meter: Meter;
}

/** A call that fits no function has the value false and a MissingFunctionError (CESQL 3.5). */
export function compileCall(call: Call, { operands, meter }: Arguments): Code {
  const { name, at } = call;
  const missing = missingFunction(call);
  const known = functions.get(name);
  if (missing === undefined && known) return compileKnown(known, { call, operands, meter });
  const [operand] = operands;
  const cast = casts.get(name);
  if (missing === undefined && operand && cast) return cast(operand, call.operands[0]?.at ?? at);
  const fault = new Fault(false, { kind: "missingFunction", at, what: missing ?? "" });
  return { type: "any", run: () => fault };
}

function compileKnown(known: CesqlFunction, of: Arguments & { readonly call: Call }): Code {
  if (known.returns === "text") return { type: "text", run: compileApply(known, of, "") };
  return { type: "integer", run: compileApply(known, of, 0) };
}

type Applied<Result extends Value> = Pick<CesqlFunction, "texts" | "moreTexts"> & {
  readonly apply: (
    texts: readonly string[],
    integers: readonly number[],
  ) => Result | Refusal<Result>;
};

function compileApply<Result extends Value>(
  { texts, moreTexts, apply }: Applied<Result>,
  { call, operands, meter }: Arguments & { readonly call: Call },
  zero: Result,
): Run<Result> {
  const textCount = moreTexts === true ? operands.length : texts;
  const textRuns = operands.slice(0, textCount).map((operand) => asText(operand));
  const integerRuns = operands
    .slice(textCount)
    .map((operand, index) => asInteger(operand, call.operands[textCount + index]?.at ?? call.at));
  return (event) => {
    const textValues: string[] = [];
    let length = 0;
    for (const run of textRuns) {
      const value = run(event);
      if (typeof value === "object") return value.as(zero);
      length += value.length;
      textValues.push(value);
    }
    if (!meter.spend(length)) return tooLong(zero, call.at);
    const integerValues: number[] = [];
    for (const run of integerRuns) {
      const value = run(event);
      if (typeof value === "object") return value.as(zero);
      integerValues.push(value);
    }
    const result = apply(textValues, integerValues);
    if (!(result instanceof Refusal)) return result;
    return new Fault(result.value, { kind: result.kind, what: result.what, at: call.at });
  };
}

function castable(run: Run, isCastable: (value: Value) => boolean): Code {
  return {
    type: "boolean",
    run: (event) => {
      const value = run(event);
      return typeof value === "object" ? value.as(false) : isCastable(value);
    },
  };
}
