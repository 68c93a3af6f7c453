import fc from "fast-check";
import { MeshError } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { compileFilter } from "../src/filter/compile-filter.ts";
import { Matcher } from "../src/filter/matcher.ts";
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
    [{ sql: "true" }, /not supported/],
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

  it("names the clause that an event does not meet", () => {
    const filter = new SubscriptionFilter({
      types: ["com.acme.speed.changed"],
      filters: [{ exact: { level: "8" } }],
    });
    expect(filter.failedClause(event)).toBe('{"exact":{"level":"8"}}');
    expect(new SubscriptionFilter({ source: "x", filters: [] }).failedClause(event)).toMatch(
      /^source in/,
    );
  });
});

const attribute = fc.constantFrom("type", "source", "subject", "color", "level");
const value = fc.constantFrom("a", "ab", "b", "ba", "1");
const pair = fc.tuple(attribute, value).map(([name, text]) => ({ [name]: text }));
const { filter: anyFilter } = fc.letrec<{ filter: FilterSpec }>((tie) => ({
  filter: fc.oneof(
    { depthSize: "small" },
    pair.map((exact) => ({ exact })),
    pair.map((prefix) => ({ prefix })),
    pair.map((suffix) => ({ suffix })),
    fc.array(tie("filter"), { minLength: 1, maxLength: 3 }).map((all) => ({ all })),
    fc.array(tie("filter"), { minLength: 1, maxLength: 3 }).map((any) => ({ any })),
    tie("filter").map((not) => ({ not })),
  ),
}));
const anyEvent = fc
  .record({
    type: value,
    source: value,
    subject: fc.option(value, { nil: undefined }),
    color: value,
  })
  .map(({ color, subject, ...rest }) =>
    sampleEvent({
      id: "1",
      ...rest,
      ...(subject !== undefined && { subject }),
      extensions: [
        ["color", color],
        ["level", 1],
      ],
    }),
  );

describe("indexed matcher", () => {
  it("finds exactly the members that trying each one finds, each once, also after removals", () => {
    const specs = fc.array(fc.array(anyFilter, { maxLength: 2 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(specs, fc.array(anyEvent, { minLength: 1, maxLength: 5 }), (filters, events) => {
        const members = filters.map((one) => ({
          filter: new SubscriptionFilter({ filters: one }),
        }));
        const matcher = new Matcher<(typeof members)[number]>();
        for (const member of members) matcher.add(member);
        const removed = members.filter((_, at) => at % 3 === 0);
        for (const member of removed) matcher.remove(member);
        for (const one of events) {
          const found: typeof members = [];
          matcher.match(one, found);
          const wanted = members.filter((m) => !removed.includes(m) && m.filter.matches(one));
          expect(found).toHaveLength(wanted.length);
          expect(new Set(found)).toEqual(new Set(wanted));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("evaluates only the filters that can match when thousands name a subject", () => {
    let evaluations = 0;
    class Counting extends SubscriptionFilter {
      override matches(one: typeof event): boolean {
        evaluations += 1;
        return super.matches(one);
      }
    }
    const matcher = new Matcher<{ filter: SubscriptionFilter }>();
    for (let at = 0; at < 5_000; at += 1)
      matcher.add({ filter: new Counting({ filters: [{ exact: { subject: `s${at}` } }] }) });
    const found: { filter: SubscriptionFilter }[] = [];
    matcher.match(sampleEvent({ id: "1", subject: "s42" }), found);
    expect(found).toHaveLength(1);
    expect(evaluations).toBe(1);
  });
});
