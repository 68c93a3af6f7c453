import { attributeReader, isTextAttribute } from "./attribute-reader.ts";
import { isInteger32 } from "./cast.ts";
import { asBoolean, asInteger, asText } from "./coerce.ts";
import { compileArithmetic, compileNegation, compileOrder } from "./compile-arithmetic.ts";
import { compileCall } from "./compile-call.ts";
import { compileEquality } from "./compile-equality.ts";
import { compileLogic, compileNot } from "./compile-logic.ts";
import { compileMembership } from "./compile-membership.ts";
import type { Arithmetic, Attribute, Comparison, Expression, Like, Unary } from "./expression.ts";
import { LikePattern } from "./like-pattern.ts";
import type { Meter } from "./meter.ts";
import { tooLong } from "./too-long.ts";
import { Fault, type Code, type Run, type Value } from "./value.ts";

/** Shorter attributes cost too little to be metered. */
const longAttribute = 256;

/** An expression as closures: nothing of its text is looked at again. The meter is theirs, and whoever runs them refills it. */
export function compileExpression(expression: Expression, meter: Meter): Code {
  const compile = (part: Expression): Code => compileExpression(part, meter);
  switch (expression.kind) {
    case "literal":
      return literal(expression.value);
    case "attribute":
      return attribute(expression, meter);
    case "exists":
      return truth(exists(expression.name));
    case "call":
      return compileCall(expression, { operands: expression.operands.map(compile), meter });
    case "not":
      return truth(not(expression, compile));
    case "negate": {
      const operand = asInteger(compile(expression.operand), expression.operand.at);
      return { type: "integer", run: compileNegation(operand, expression.at) };
    }
    case "arithmetic":
      return { type: "integer", run: arithmetic(expression, compile) };
    case "logic": {
      const operands = expression.operands.map((part) => asBoolean(compile(part), part.at));
      return truth(compileLogic(expression.operator, operands));
    }
    case "comparison":
      return truth(comparison(expression, compile));
    case "like":
      return truth(negatedIf(expression.isNegated, like(expression, compile, meter)));
    case "in": {
      const elements = expression.elements.map((element) => ({
        expression: element,
        run: compile(element).run,
      }));
      const run = compileMembership(compile(expression.operand).run, elements);
      return truth(negatedIf(expression.isNegated, run));
    }
  }
}

type Compile = (part: Expression) => Code;

function truth(run: Run<boolean>): Code {
  return { type: "boolean", run };
}

function negatedIf(isNegated: boolean, run: Run<boolean>): Run<boolean> {
  return isNegated ? compileNot(run) : run;
}

/** NOT binds tighter than anything but brackets, which is not what people expect: the error says so. */
function not({ operand }: Unary, compile: Compile): Run<boolean> {
  const negated = compileNot(asBoolean(compile(operand), operand.at));
  return (event) => {
    const value = negated(event);
    if (typeof value !== "object" || value.kind !== "cast" || value.at !== operand.at) return value;
    const what = `${value.what} (NOT takes only what follows it: write NOT (...) around a comparison)`;
    return new Fault(false, { kind: "cast", at: value.at, what });
  };
}

function literal(value: Value): Code {
  if (typeof value === "string") return { type: "text", run: () => value };
  if (typeof value === "number") return { type: "integer", run: () => value };
  return { type: "boolean", run: () => value };
}

/** A missing attribute makes what surrounds it an error; by itself it is false (CESQL 3.2). */
function attribute({ name, at }: Attribute, meter: Meter): Code {
  const what = `the event has no attribute ${name.slice(0, 40)}`;
  const missing = new Fault(false, { kind: "missingAttribute", at, what });
  const checked = (text: string): string | Fault =>
    text.length > longAttribute && !meter.spend(text.length) ? tooLong(false, at) : text;
  const read = attributeReader(name);
  if (isTextAttribute(name))
    return {
      type: "text",
      run: (event) => {
        const value = read(event);
        return typeof value === "string" ? checked(value) : missing;
      },
    };
  return {
    type: "any",
    run: (event) => {
      const value = read(event);
      if (typeof value === "string") return checked(value);
      // No door lets another number in; what is none of CESQL's types is a text (3.2).
      if (typeof value === "number" && !isInteger32(value)) return String(value);
      return value ?? missing;
    },
  };
}

function exists(name: string): Run<boolean> {
  const read = attributeReader(name);
  return (event) => read(event) !== undefined;
}

function arithmetic({ operator, left, right, at }: Arithmetic, compile: Compile): Run<number> {
  const integer = (part: Expression): Run<number> => asInteger(compile(part), part.at);
  return compileArithmetic(operator, { left: integer(left), right: integer(right) }, at);
}

function comparison({ operator, left, right }: Comparison, compile: Compile): Run<boolean> {
  if (operator !== "=" && operator !== "!=" && operator !== "<>")
    return compileOrder(operator, {
      left: asInteger(compile(left), left.at),
      right: asInteger(compile(right), right.at),
    });
  const constant = right.kind === "literal" ? right.value : undefined;
  const sides = { left: compile(left), right: compile(right), at: left.at, constant };
  return negatedIf(operator !== "=", compileEquality(sides));
}

function like({ operand, pattern, at }: Like, compile: Compile, meter: Meter): Run<boolean> {
  const text = asText(compile(operand));
  const wanted = new LikePattern(pattern);
  const stepsPerCharacter = wanted.stepsPerCharacter;
  return (event) => {
    const value = text(event);
    if (typeof value === "object") return value.as(false);
    if (!meter.spend(value.length * stepsPerCharacter)) return tooLong(false, at);
    return wanted.matches(value);
  };
}
