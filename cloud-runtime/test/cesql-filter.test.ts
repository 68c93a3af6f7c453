import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { functionNames } from "../src/filter/cesql/compile-call.ts";
import { conditionsOf } from "../src/filter/cesql/conditions-of.ts";
import { parseCesql } from "../src/filter/cesql/parse-cesql.ts";
import { compileFilter } from "../src/filter/compile-filter.ts";
import { Matcher } from "../src/filter/matcher.ts";
import { SubscriptionFilter } from "../src/filter/subscription-filter.ts";
import { sampleEvent } from "./subscription-samples.ts";

const event = sampleEvent({
  id: "1",
  type: "speed.changed",
  subject: "veh-7",
  extensions: [
    ["sequence", "12"],
    ["vin", "W0L0"],
  ],
});

const filterOf = (sql: string): SubscriptionFilter =>
  new SubscriptionFilter({ filters: [{ sql }] });

describe("the dialect sql", () => {
  it.each<[string, boolean]>([
    ["type = 'speed.changed' AND subject LIKE 'veh-%' AND INT(sequence) > 5", true],
    ["type = 'speed.changed' AND subject LIKE 'veh-%' AND INT(sequence) > 12", false],
    ["type IN ('speed.changed', 'door.opened')", true],
    ["EXISTS color", false],
    ["specversion = '1.0' AND datacontenttype = 'application/json'", true],
  ])("lets events pass for which the expression is true: %s", (sql, wanted) => {
    const filter = filterOf(sql);
    expect(filter.matches(event)).toBe(wanted);
    expect(filter.failedClause(event) === undefined).toBe(wanted);
    expect(filter.errorCount).toBe(0);
  });

  it.each<[string, RegExp]>([
    ["TRUE OR color = 'red' AND 1 = 1 / 0", /^column \d+: 1 \/ 0 is division by zero$/],
    ["color = 'red'", /^column 1: the event has no attribute color$/],
    ["color != 'red'", /no attribute color/],
    ["NOT (INT(vin) = 5)", /^column 10: "W0L0" is not a 32-bit integer$/],
    ["NOT subject = 'veh-7'", /"veh-7" is not TRUE or FALSE \(NOT takes only what follows it/],
    ["vin", /^the expression gives a text, not TRUE or FALSE$/],
    ["type = 'x' OR SUBSTRING(type, 90) = ''", /column 15: the text has no character 90, only 13/],
  ])("takes an error for no match, counts and shows it: %s", (sql, wanted) => {
    const filter = filterOf(sql);
    expect(filter.matches(event)).toBe(false);
    expect(filter.errorCount).toBe(1);
    expect(filter.failedClause(event)).toMatchObject({ isFault: true });
    expect(filter.failedClause(event)?.reason).toMatch(wanted);
  });

  it("names the first condition that is not met, and what the event has instead", () => {
    const filter = filterOf("EXISTS subject AND (subject LIKE 'bus-%' AND vin = 'X')");
    expect(filter.failedClause(event)).toMatchObject({
      path: "filters[0]",
      field: "subject",
      found: '"veh-7"',
      wanted: "subject LIKE 'bus-%'",
      reason: `subject LIKE 'bus-%' is not true: subject is "veh-7"`,
    });
    const either = filterOf("subject = 'x' OR (vin = 'y')");
    expect(either.failedClause(event)?.reason).toBe(
      `subject = 'x' OR (vin = 'y') is not true: subject is "veh-7", vin is "W0L0"`,
    );
  });

  it("lets an alternative pass that matches beside an error", () => {
    const spec = { any: [{ sql: "color = 'red'" }, { exact: { subject: "veh-7" } }] };
    expect(compileFilter(spec).matches(event)).toBe(true);
  });

  it("does not turn an error into a match by negation", () => {
    const filter = new SubscriptionFilter({ filters: [{ not: { sql: "color = 'red'" } }] });
    expect(filter.matches(event)).toBe(false);
    expect(filter.errorCount).toBe(1);
  });
});

describe("what the index learns from an expression", () => {
  it.each<[string, object]>([
    ["type = 'a'", { type: ["a"] }],
    ["'a' = type AND TRUE", { type: ["a"] }],
    ["type = 'a' AND (subject = 'b' AND vin = 'c')", { type: ["a"], subject: ["b"], vin: ["c"] }],
    ["type = 'a' OR type = 'b' OR type IN ('c', 5)", { type: ["a", "b", "c", "5"] }],
    ["(type = 'a' AND vin = 'x') OR (vin = 'y' AND subject = 'z')", { vin: ["x", "y"] }],
    ["type LIKE 'a\\%'", { type: ["a%"] }],
    ["vin IN ('a', '5')", { vin: ["a", "5"] }],
    ["vin IN ('a', '05')", {}],
    ["vin IN ('TRUE')", {}],
    ["vin IN (1)", {}],
    ["vin = 5", {}],
    ["'a' = vin", {}],
    ["type != 'a'", {}],
    ["type = 'a' OR EXISTS subject", {}],
    ["type = 'a' XOR subject = 'b'", {}],
    ["NOT (type = 'a')", {}],
    ["type NOT IN ('a')", {}],
    ["type NOT LIKE 'a'", {}],
    ["type IN ('a', subject)", {}],
    ["(type = 'a') = TRUE", {}],
    ["type = subject", {}],
    ["LOWER(type) = 'a'", {}],
  ])("%s", (sql, wanted) => {
    const { exact = [] } = conditionsOf(parseCesql(sql));
    expect(Object.fromEntries(exact.map(({ attribute, values }) => [attribute, values]))).toEqual(
      wanted,
    );
  });

  it.each<[string, object]>([
    ["type LIKE 'com.acme.%'", { type: ["com.acme."] }],
    ["type LIKE 'a_c'", { type: ["a"] }],
    ["type LIKE 'a%' OR type = 'bc'", { type: ["a", "bc"] }],
    ["type LIKE '%'", {}],
    ["type NOT LIKE 'a%'", {}],
  ])("of beginnings: %s", (sql, wanted) => {
    const { prefix = [] } = conditionsOf(parseCesql(sql));
    expect(
      Object.fromEntries(prefix.map(({ attribute, prefixes }) => [attribute, prefixes])),
    ).toEqual(wanted);
  });

  it("finds one among thousands of subscriptions without asking the others", () => {
    const matcher = new Matcher<{ id: number; filter: SubscriptionFilter }>();
    let askedCount = 0;
    for (let id = 0; id < 2_000; id += 1) {
      const filter = filterOf(`subject = 'veh-${id}' AND type LIKE 'speed.%'`);
      const matches = filter.matches.bind(filter);
      filter.matches = (...given) => {
        askedCount += 1;
        return matches(...given);
      };
      matcher.add({ id, filter });
    }
    const found: { id: number }[] = [];
    matcher.match(event, found as { id: number; filter: SubscriptionFilter }[]);
    expect(found.map(({ id }) => id)).toEqual([7]);
    expect(askedCount).toBe(1);
  });
});

describe("the guide", () => {
  const guide = readFileSync(new URL("../../docs/guide/filters.md", import.meta.url), "utf8");
  const section = guide.slice(guide.indexOf("## `sql`"), guide.indexOf("## Many subscriptions"));

  it("quotes expressions that are taken", () => {
    const [spec = ""] = /^\{ "sql": .* \}$/m.exec(section) ?? [];
    expect(compileFilter(JSON.parse(spec) as object).matches(event)).toBe(true);
    const quoted = [...section.matchAll(/`([^`\n]*(?: = | != |EXISTS )'?[^`\n]*)`/g)];
    const texts = quoted.map(([, text = ""]) => text.replaceAll("\\|", "|"));
    expect(texts.length).toBeGreaterThan(6);
    for (const text of texts.filter((one) => !one.startsWith("{")))
      expect(() => compileFilter({ sql: text })).not.toThrow();
  });

  it("names every function", () => {
    for (const name of functionNames) expect(section).toContain(`${name}(`);
  });
});
