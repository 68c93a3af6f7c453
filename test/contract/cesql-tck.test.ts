import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { decodeStructured, eventLimitsDefault, type MeshEvent } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { isScalar, parseDocument, visit } from "yaml";
import { CesqlExpression } from "../../cloud-runtime/src/filter/cesql/cesql-expression.ts";
import { CesqlSyntaxError } from "../../cloud-runtime/src/filter/cesql/syntax-error.ts";
import { Fault, type Value } from "../../cloud-runtime/src/filter/cesql/value.ts";

/** The conformance tests of CESQL 1.0.0 lie beside the project and are read from there. */
const folder = fileURLToPath(new URL("../../../shared/data/cesql_tck/", import.meta.url));

/**
 * The one test that contradicts the specification: it wants `NOT 10` to be true with a cast error. By the table of casts
 * (3.7) an Integer casts to Boolean, and other tests of the suite hold that (`BOOL(100)` is true without an error): 10 is
 * true, so NOT makes it false, and there is no error.
 */
const contradictions: Readonly<Record<string, Outcome>> = {
  "not_operator.yaml: Invalid int cast": { value: false },
};

interface TckTest {
  readonly name: string;
  readonly expression: string;
  readonly result?: Value;
  readonly error?: string;
  readonly event?: object;
  readonly eventOverrides?: object;
}

interface Outcome {
  readonly value?: Value | undefined;
  readonly error?: string | undefined;
}

/** Expressions are texts, though some look like YAML's own numbers and truth values. */
function testsIn(yaml: string): TckTest[] {
  const document = parseDocument(yaml);
  visit(document, {
    Pair: (_, { key, value }) => {
      if (!isScalar(key) || key.value !== "expression" || !isScalar(value)) return;
      value.value = value.source;
    },
  });
  return (document.toJS() as { tests: TckTest[] }).tests;
}

const usualEvent = { specversion: "1.0", id: "1", source: "urn:tck", type: "tck.tested" };

function eventOf({ event, eventOverrides }: TckTest): MeshEvent {
  const json = event ?? { ...usualEvent, ...eventOverrides };
  return decodeStructured(Buffer.from(JSON.stringify(json)), eventLimitsDefault);
}

function outcomeOf(test: TckTest): Outcome {
  try {
    const outcome = new CesqlExpression(test.expression).evaluate(eventOf(test));
    if (!(outcome instanceof Fault)) return { value: outcome };
    return { value: outcome.value, error: outcome.kind };
  } catch (error) {
    if (!(error instanceof CesqlSyntaxError)) throw error;
    return { value: false, error: "parse" };
  }
}

/** A test that names no result asks for the error only. */
function wantedOf({ result, error }: TckTest, { value }: Outcome): Outcome {
  return { value: result ?? value, ...(error !== undefined && { error }) };
}

describe.skipIf(!existsSync(folder))(
  "the conformance tests of CESQL 1.0.0 (skipped where ../shared/data/cesql_tck is missing)",
  () => {
    const files = existsSync(folder)
      ? readdirSync(folder).filter((file) => file.endsWith(".yaml"))
      : [];
    const all = files.flatMap((file) => {
      return testsIn(readFileSync(`${folder}/${file}`, "utf8")).map((test) => ({
        key: `${file}: ${test.name}`,
        test,
      }));
    });
    const contradicting = all.filter(({ key }) => key in contradictions);
    const agreed = all.filter(({ key }) => !(key in contradictions));

    it("are 275, of which 274 are passed and one contradicts the specification", () => {
      const passed = agreed.filter(({ test }) => {
        const outcome = outcomeOf(test);
        return JSON.stringify(outcome) === JSON.stringify(wantedOf(test, outcome));
      });
      expect([all.length, passed.length, contradicting.length]).toEqual([275, 274, 1]);
    });

    it.each(agreed)("$key", ({ test }) => {
      const outcome = outcomeOf(test);
      expect(outcome).toEqual(wantedOf(test, outcome));
    });

    it.each(contradicting)("$key (not as there, but as specified)", ({ key, test }) => {
      const outcome = outcomeOf(test);
      expect(outcome).toEqual(contradictions[key]);
      expect(outcome).not.toEqual(wantedOf(test, outcome));
    });
  },
);
