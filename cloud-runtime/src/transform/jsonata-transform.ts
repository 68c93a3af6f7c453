import { RuleView, ruleError } from "./rule-view.ts";
import { seededRandom } from "./seeded-random.ts";
import { invalidTransform, transformFailed } from "./transform-failed.ts";
import type { CompileHeavy } from "./transform.ts";

const expressionCharsMax = 16_384;
const depthMax = 500;
const sequenceMax = 100_000;

/** What the library throws: plain objects with a code. */
interface JsonataFault {
  readonly code?: string;
  readonly position?: number;
  readonly message?: string;
}

/** A JSONata expression over the event in the CloudEvents JSON format, made once. Its result is the event, or several, or none. */
export const compileJsonata: CompileHeavy = async (operand, path, { timeMs }) => {
  if (typeof operand !== "string" || operand.trim() === "" || operand.length > expressionCharsMax)
    throw invalidTransform(path, `must be an expression of at most ${expressionCharsMax} letters`);
  const { default: jsonata } = await import("jsonata");
  const guards = { timeout: timeMs, stack: depthMax, sequence: sequenceMax };
  const compile = (): ReturnType<typeof jsonata> => {
    try {
      return jsonata(operand, guards);
    } catch (error) {
      throw invalidTransform(path, `cannot be read: ${faultText(error)}`);
    }
  };
  const expression = compile();
  const timeText = jsonata("$fromMillis($at, $picture, $zone)");
  return {
    async apply(input) {
      const view = new RuleView(input.event);
      const { nowMs: at } = input;
      // The library's own would differ from one attempt to the next.
      const now = (picture?: string, zone?: string): unknown =>
        timeText.evaluate({}, { at, picture, zone });
      const bindings = { now, millis: () => at, random: seededRandom(input) };
      const result: unknown = await evaluated(() => expression.evaluate(view.parse(), bindings));
      try {
        return view.events(result);
      } catch (error) {
        throw ruleError(error);
      }
    },
  };
};

async function evaluated(evaluate: () => Promise<unknown>): Promise<unknown> {
  try {
    return await evaluate();
  } catch (error) {
    throw failureOf(error);
  }
}

function failureOf(thrown: unknown): Error {
  if (thrown instanceof Error && !("code" in thrown)) return ruleError(thrown);
  const { code } = thrown as JsonataFault;
  const why = code === "D1012" ? "time" : code === "D1011" || code === "D2015" ? "memory" : "error";
  return transformFailed(why, faultText(thrown));
}

function faultText(thrown: unknown): string {
  const { code, position, message } = thrown as JsonataFault;
  const place = position === undefined ? "" : ` at letter ${position}`;
  return `${message ?? "it failed"}${place}${code === undefined ? "" : ` (${code})`}`;
}
