import { MeshError } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { compileFilter } from "../src/filter/compile-filter.ts";
import { SubscriptionFilter } from "../src/filter/subscription-filter.ts";
import type { FilterSpec } from "../src/metadata/metadata.ts";
import { sampleEvent } from "./subscription-samples.ts";

const event = sampleEvent({
  id: "1",
  type: "com.acme.speed.changed",
  subject: "Vehicle.Speed",
  extensions: [
    ["level", 7],
    ["urgent", true],
  ],
});

describe("filter dialects", () => {
  it.each<[FilterSpec, boolean]>([
    [{ exact: { type: "com.acme.speed.changed", subject: "Vehicle.Speed" } }, true],
    [{ exact: { type: "com.acme.speed.changed", subject: "vehicle.speed" } }, false],
    [{ exact: { level: "7", urgent: "true", specversion: "1.0" } }, true],
    [{ exact: { missing: "undefined" } }, false],
    [{ prefix: { type: "com.acme." } }, true],
    [{ prefix: { missing: "a" } }, false],
    [{ suffix: { type: ".changed", subject: "Speed" } }, true],
    [{ suffix: { type: ".created" } }, false],
    [{ all: [{ prefix: { type: "com" } }, { suffix: { type: "changed" } }] }, true],
    [{ any: [{ exact: { type: "x" } }, { exact: { level: "7" } }] }, true],
    [{ any: [{ exact: { type: "x" } }, { exact: { level: "8" } }] }, false],
    [{ not: { exact: { type: "x" } } }, true],
    [{ not: { not: { exact: { type: "x" } } } }, false],
  ])("evaluates %j as %s", (spec, wanted) => {
    expect(compileFilter(spec).matches(event)).toBe(wanted);
  });

  it.each<[unknown, RegExp]>([
    [{ exat: { type: "a" } }, /"exat".*did you mean "exact".*exact, prefix, suffix, all, any, not/],
    [{ pattern: [] }, /filters\.pattern must be an object/],
    [{ constructor: {} }, /not supported/],
    [{}, /exactly one dialect/],
    [{ exact: { type: "a" }, prefix: { type: "a" } }, /exactly one dialect/],
    [{ exact: {} }, /at least one attribute/],
    [{ exact: { type: "" } }, /filters\.exact\.type must be a text/],
    [{ exact: { Type: "a" } }, /not an attribute name/],
    [{ all: [] }, /at least one filter/],
    [{ any: [{ exact: { type: 1 } }] }, /filters\.any\[0\]\.exact\.type/],
  ])("refuses %j and says where and why", (spec, wanted) => {
    expect(() => compileFilter(spec)).toThrow(wanted);
    try {
      compileFilter(spec);
    } catch (error) {
      expect(MeshError.is(error, "SUBSCRIPTION_INVALID")).toBe(true);
    }
  });

  it("refuses filters nested so deep that they could overflow the stack", () => {
    let spec: unknown = { exact: { type: "a" } };
    for (let depth = 0; depth < 5_000; depth += 1) spec = { not: spec };
    expect(() => compileFilter(spec)).toThrow(/nested deeper/);
  });

  it.each<[FilterSpec, RegExp]>([
    [{ prefix: { type: "org." } }, /type is "com.acme.speed.changed"; wanted: begins with "org\."/],
    [{ suffix: { missing: "x" } }, /missing is missing; wanted: ends with "x"/],
    [{ not: { prefix: { type: "com." } } }, /what must not hold does: .*com\./],
    [
      { any: [{ exact: { type: "a" } }, { exact: { level: "1" } }] },
      /none of the alternatives holds: type is .*; level is 7; wanted: "1"/,
    ],
    [{ all: [{ exact: { level: "7" } }, { exact: { urgent: "no" } }] }, /^urgent is true/],
  ])("says of %j what is wrong", (spec, wanted) => {
    expect(new SubscriptionFilter({ filters: [spec] }).failedClause(event)?.reason).toMatch(wanted);
  });

  it("lets what can be decided decide, whatever fails to be evaluated beside it", () => {
    const fails = { pattern: { data: { speed: [1] } } };
    const [yes, no] = [{ exact: { level: "7" } }, { exact: { level: "8" } }];
    const binary = { ...event, dataKind: "binary" as const };
    const outcome = (spec: FilterSpec): boolean => {
      const filter = new SubscriptionFilter({ filters: [spec] });
      return filter.matches(binary);
    };
    expect(outcome({ any: [fails, yes] })).toBe(true);
    expect(outcome({ any: [yes, fails] })).toBe(true);
    expect(outcome({ not: { all: [fails, no] } })).toBe(true);
    expect(outcome({ not: { all: [no, fails] } })).toBe(true);
    expect(outcome({ not: fails })).toBe(false);
    expect(outcome({ not: { all: [fails, yes] } })).toBe(false);
  });

  it("names the clause that an event does not meet", () => {
    const filter = new SubscriptionFilter({
      types: ["com.acme.speed.changed"],
      filters: [{ exact: { level: "8" } }],
    });
    expect(filter.failedClause(event)).toEqual({
      path: "filters[0]",
      clause: '{"exact":{"level":"8"}}',
      field: "level",
      found: "7",
      wanted: '"8"',
      reason: 'level is 7; wanted: "8"',
    });
    const ofSource = new SubscriptionFilter({ source: "x", filters: [] }).failedClause(event);
    expect(ofSource).toMatchObject({ path: "source", field: "source", found: '"urn:vehicle:1"' });
  });
});
