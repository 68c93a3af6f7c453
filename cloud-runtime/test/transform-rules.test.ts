import { describe, expect, it } from "vitest";
import { compileLight, stepsOf } from "../src/transform/compile-transform.ts";
import { transformLimitsDefault, type TransformSpec } from "../src/transform/transform.ts";
import { sampleEvent } from "./subscription-samples.ts";

const salt = "not a secret outside of tests";

/** The data that a rule leaves, as text; undefined = none. */
function dataAfter(transform: TransformSpec, data: string): string | undefined {
  const light = compileLight(stepsOf(transform), transformLimitsDefault);
  const [made] =
    light?.({ event: sampleEvent({ id: "e1", subject: "car-1", data }), nowMs: 0 }) ?? [];
  return made?.data && Buffer.from(made.data).toString();
}

describe("a template", () => {
  const value = (
    text: unknown,
    data = '{"vin":"LSV1","n":1.50,"none":null,"list":[1,{"a":true}]}',
  ) => dataAfter({ template: { data: text } }, data);

  it.each([
    ["a value with its type, as it is written", "$.data.n", "1.50"],
    ["a whole part of the data", "$.data.list", '[1,{"a":true}]'],
    ["an item of a list", "$.data.list[1].a", "true"],
    ["an attribute", "$.subject", '"car-1"'],
    ["a null that is there", "$.data.none", "null"],
    [
      "a text around values",
      "${$.data.vin}: ${$.data.n} ${ $.data.list }",
      '"LSV1: 1.50 [1,{\\"a\\":true}]"',
    ],
    ["a stated default inside a text", "${$.data.none|nothing} ${data.what|}", '"nothing "'],
    ["a stated default of any type", { $pick: "$.data.what", default: { a: [] } }, '{"a":[]}'],
    ["a dollar sign", ["$$.data.vin", "$${x}", "5 $", "$"], '["$.data.vin","${x}","5 $","$"]'],
    ["constants of all types", { a: 1, b: [true, null, "x"] }, '{"a":1,"b":[true,null,"x"]}'],
  ])("gives %s", (_, text, expected) => {
    expect(value(text)).toBe(expected);
  });

  it.each([
    ["a value that is missing", "$.data.what"],
    ["a place inside of a value that has none", "$.data.vin.x"],
    ["a null inside of a text", "${$.data.none}"],
  ])("fails at %s, where no default is stated", (_, text) => {
    expect(() => value(text)).toThrow(/The event has no \$\.data\./);
  });

  it("takes the last of two members with one name, as JSON.parse does", () => {
    expect(value("$.data.a", '{"a":1,"\\u0061":2}')).toBe("2");
  });

  it("refuses to make an attribute of what is none", () => {
    const rule = { template: { subject: "$.data.list" } };
    expect(() => dataAfter(rule, '{"list":[]}')).toThrow("is an object or a list");
    expect(() => dataAfter({ template: { level: "$.data.n" } }, '{"n":1.5}')).toThrow("32 bits");
  });
});

describe("a projection", () => {
  const project = (rule: object, data: string) => dataAfter({ project: rule }, data);

  it("takes fields out and leaves the rest as it is written", () => {
    const data = '{ "vin":"LSV1", "n" : 12345678901234567890.10, "at":{"lat":1.0,"lon":2.0} }';
    expect(project({ redact: ["data.vin", "$.data.at.lon"] }, data)).toBe(
      '{"n" : 12345678901234567890.10,"at":{"lat":1.0}}',
    );
    expect(project({ redact: ["data.what", "subject"] }, data)).toBe(data);
  });

  it("takes a field out each time that its name is given, however it is spelled", () => {
    expect(project({ redact: ["data.vin"] }, '{"vin":1,"n":2,"v\\u0069n":3}')).toBe('{"n":2}');
  });

  it("lets only what is named through", () => {
    const data = '{"vin":"LSV1","trips":[{"km":1,"to":"home"},{"km":2},3],"at":{"lat":1}}';
    expect(project({ keep: ["data.trips[*].km", "data.at"] }, data)).toBe(
      '{"trips":[{"km":1},{"km":2},null],"at":{"lat":1}}',
    );
    expect(project({ keep: ["data.vin.x"] }, data)).toBe("{}");
    expect(project({ keep: ["subject"] }, data)).toBeUndefined();
  });

  it("redacts inside of what is kept, and leaves null in the places of items", () => {
    const rule = { keep: ["data.a"], redact: ["data.a.*.secret", "data.a.list[0]"] };
    expect(project(rule, '{"a":{"b":{"secret":1,"c":2},"list":[1,2]},"d":1}')).toBe(
      '{"a":{"b":{"c":2},"list":[null,2]}}',
    );
  });

  it("hashes by the salt, the same value to the same hash, and null not at all", () => {
    const rule = { hash: { fields: ["data.vin", "data.other", "data.none"], salt } };
    const data = '{"vin":"LSV1","other":"LSV1","none":null}';
    const made = JSON.parse(project(rule, data) ?? "") as Record<string, unknown>;
    expect(made["vin"]).toMatch(/^[0-9a-f]{32}$/);
    expect(made).toEqual({ vin: made["vin"], other: made["vin"], none: null });
    const other = { hash: { fields: ["data.vin"], salt: `${salt}!` } };
    expect(project(other, data)).not.toContain(made["vin"]);
  });

  it("fails on data that it cannot look into, and lets nothing of them through", () => {
    const light = compileLight(
      stepsOf({ project: { redact: ["data.vin"] } }),
      transformLimitsDefault,
    );
    const csv = { ...sampleEvent({ id: "e1", data: "vin\nLSV1" }), datacontenttype: "text/csv" };
    for (const dataKind of ["text", "binary"] as const)
      expect(() => light?.({ event: { ...csv, dataKind }, nowMs: 0 })).toThrow("not JSON");
  });

  it("fails on data that are nested beyond reason", () => {
    const deep = `${"[".repeat(5_000)}1${"]".repeat(5_000)}`;
    expect(() => project({ redact: ["data.vin"] }, deep)).toThrow("nested deeper");
  });
});
