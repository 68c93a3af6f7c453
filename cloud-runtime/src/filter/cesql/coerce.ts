import { shown } from "../shown.ts";
import { toBoolean, toInteger, toText } from "./cast.ts";
import { Fault, type Code, type Run, type Value } from "./value.ts";

/** Why a value does not cast, for the one who reads of it: 40 characters of it say enough. */
export function castFault(value: Value, wanted: "integer" | "boolean", at: number): Fault {
  const text = typeof value === "string" ? value.slice(0, 40) : value;
  const kind = wanted === "integer" ? "a 32-bit integer" : "TRUE or FALSE";
  const zero = wanted === "integer" ? 0 : false;
  return new Fault(zero, { kind: "cast", at, what: `${shown(text) ?? ""} is not ${kind}` });
}

/** The same expression, its value cast to an integer as INT does. `at` is where a failed cast is shown. */
export function asInteger(code: Code, at: number): Run<number> {
  if (code.type === "integer") return code.run;
  const { run } = code;
  return (event) => {
    const value = run(event);
    if (typeof value === "object") return value.as(0);
    return toInteger(value) ?? castFault(value, "integer", at);
  };
}

export function asBoolean(code: Code, at: number): Run<boolean> {
  if (code.type === "boolean") return code.run;
  const { run } = code;
  return (event) => {
    const value = run(event);
    if (typeof value === "object") return value.as(false);
    return toBoolean(value) ?? castFault(value, "boolean", at);
  };
}

export function asText(code: Code): Run<string> {
  if (code.type === "text") return code.run;
  const { run } = code;
  return (event) => {
    const value = run(event);
    return typeof value === "object" ? value.as("") : toText(value);
  };
}
