import { readFileSync } from "node:fs";
import { MeshError } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { compileFilter } from "../src/filter/compile-filter.ts";
import { SubscriptionFilter } from "../src/filter/subscription-filter.ts";
import type { FilterSpec } from "../src/metadata/metadata.ts";
import { sampleEvent } from "./subscription-samples.ts";

const data = {
  speed: 42,
  text: "42",
  city: "Hangzhou",
  on: true,
  none: null,
  empty: [],
  at: { lat: 30.25, road: { name: "G60*east", kind: "motorway" } },
  tags: ["fast", "Night", 7],
  items: [
    { sku: "a", count: 1 },
    { sku: "b", count: 20 },
  ],
  deep: [[1, [2]]],
  ip: "10.1.2.3",
  ip6: "2001:db8::7",
  "a.b": 1,
};
const event = sampleEvent({
  id: "1",
  type: "com.acme.speed.changed",
  subject: "Vehicle.Speed",
  extensions: [
    ["level", 7],
    ["levels", "70"],
    ["urgent", true],
    ["client", "192.168.7.9"],
  ],
  data: JSON.stringify(data),
});

function matches(pattern: object, of = event): boolean {
  return compileFilter({ pattern }).matches(of);
}

describe("patterns over attributes", () => {
  it.each<[object, boolean]>([
    [{ type: ["x", "com.acme.speed.changed"] }, true],
    [{ type: ["com.acme.speed"] }, false],
    [{ type: ["com.acme.speed.changed"], subject: ["x"] }, false],
    [{ specversion: ["1.0"], datacontenttype: ["application/json"] }, true],
    [{ level: [7] }, true],
    [{ level: ["7"] }, true],
    [{ urgent: [true] }, true],
    [{ urgent: [false] }, false],
    [{ type: [{ prefix: "com." }] }, true],
    [{ type: [{ prefix: ["org.", "com."] }] }, true],
    [{ type: [{ prefix: "Com." }] }, false],
    [{ type: [{ prefix: { "equals-ignore-case": "COM." } }] }, true],
    [{ type: [{ suffix: ".changed" }] }, true],
    [{ type: [{ suffix: { "equals-ignore-case": ".CHANGED" } }] }, true],
    [{ subject: [{ "equals-ignore-case": "VEHICLE.speed" }] }, true],
    [{ type: [{ "anything-but": "x" }] }, true],
    [{ type: [{ "anything-but": ["x", "com.acme.speed.changed"] }] }, false],
    [{ type: [{ "anything-but": { prefix: "com." } }] }, false],
    [{ type: [{ "anything-but": { suffix: ["x", "y"] } }] }, true],
    [{ level: [{ "anything-but": 7 }] }, false],
    [{ missing: [{ "anything-but": "x" }] }, false],
    [{ level: [{ numeric: [">=", 7, "<", 8] }] }, true],
    [{ levels: [{ numeric: ["=", 70] }] }, true],
    [{ subject: [{ numeric: ["!=", 1] }] }, false],
    [{ time: [{ exists: false }] }, true],
    [{ time: [{ exists: true }] }, false],
    [{ level: [{ exists: true }] }, true],
    [{ subject: [{ wildcard: "Veh*Sp*" }] }, true],
    [{ client: [{ cidr: "192.168.0.0/16" }] }, true],
    [{ $or: [{ type: ["x"] }, { level: [7] }] }, true],
    [{ $or: [{ type: ["x"] }, { level: [8] }] }, false],
    [{ subject: ["x"], $or: [{ type: ["x"] }, { level: [7] }] }, false],
  ])("evaluates %j as %s", (pattern, wanted) => {
    expect(matches(pattern)).toBe(wanted);
  });
});

describe("patterns over JSON data", () => {
  it.each<[unknown, boolean]>([
    [{ speed: [42] }, true],
    [{ speed: [42.0, 1] }, true],
    [{ speed: ["42"] }, false],
    [{ text: [42] }, false],
    [{ text: ["42"] }, true],
    [{ on: [true] }, true],
    [{ none: [null] }, true],
    [{ missing: [null] }, false],
    [{ none: [{ exists: true }] }, true],
    [{ empty: [{ exists: true }] }, true],
    [{ empty: [{ exists: false }] }, false],
    [{ at: [{ exists: true }] }, true],
    [{ missing: [{ exists: false }] }, true],
    [{ missing: { inner: [{ exists: false }] } }, true],
    [{ speed: { inner: [{ exists: false }] } }, true],
    [{ missing: ["x", { exists: false }] }, true],
    [{ at: { lat: [{ numeric: [">", 30, "<=", 30.25] }] } }, true],
    [{ text: [{ numeric: [">", 30] }] }, false],
    [{ at: { road: { name: [{ wildcard: "G60\\**" }], kind: ["motorway"] } } }, true],
    [{ at: { road: { kind: ["street"] } } }, false],
    [{ at: ["x"] }, false],
    [{ at: [{ "anything-but": "x" }] }, false],
    [{ city: [{ "anything-but": "Beijing" }] }, true],
    [{ speed: [{ "anything-but": { prefix: "4" } }] }, true],
    [{ speed: [{ "anything-but": { numeric: [">", 40] } }] }, false],
    [{ none: [{ "anything-but": null }] }, false],
    [{ tags: ["slow", "fast"] }, true],
    [{ tags: [{ "equals-ignore-case": "night" }] }, true],
    [{ tags: [{ numeric: ["<", 8] }] }, true],
    [{ tags: ["x"] }, false],
    [{ tags: [{ "anything-but": "fast" }] }, true],
    [{ deep: [2] }, true],
    [{ items: { sku: ["b"], count: [{ numeric: [">", 10] }] } }, true],
    [{ items: { sku: ["a"], count: [{ numeric: [">", 10] }] } }, false],
    [{ empty: { sku: [{ exists: false }] } }, true],
    [{ "a.b": [1] }, true],
    [{ a: { b: [1] } }, false],
    [{ ip: [{ cidr: "10.0.0.0/8" }] }, true],
    [{ ip6: [{ cidr: ["10.0.0.0/8", "2001:db8::/32"] }] }, true],
    [{ city: [{ cidr: "0.0.0.0/0" }] }, false],
    [{ $or: [{ speed: [1] }, { city: [{ prefix: "Hang" }] }] }, true],
    [{ on: [false], $or: [{ speed: [42] }] }, false],
    [{ at: { $or: [{ lat: [1] }, { road: { kind: ["motorway"] } }] } }, true],
    [{ toString: [{ exists: true }] }, false],
    [{ ["__proto__"]: [{ exists: true }] }, false],
  ])("evaluates data %j as %s", (pattern, wanted) => {
    expect(matches({ data: pattern })).toBe(wanted);
  });

  it("compares with data that is one value or a list of them", () => {
    expect(matches({ data: [5] }, sampleEvent({ id: "1", data: "5" }))).toBe(true);
    expect(matches({ data: ["a"] }, sampleEvent({ id: "1", data: '["b","a"]' }))).toBe(true);
    expect(matches({ data: [null] }, sampleEvent({ id: "1", data: "null" }))).toBe(true);
    const bare = { ...event, data: undefined };
    expect(matches({ data: [null] }, bare)).toBe(false);
    expect(matches({ data: { speed: [{ exists: false }] } }, bare)).toBe(true);
  });

  it("leaves the event's bytes as they are", () => {
    const bytes = Buffer.from('{ "n": 1.00, "big": 12345678901234567890 }');
    const kept = Buffer.from(bytes);
    expect(matches({ data: { n: [1] } }, { ...event, data: bytes })).toBe(true);
    expect(bytes).toEqual(kept);
  });
});

describe("data that cannot be looked at", () => {
  const pattern = { data: { speed: [{ exists: false }] } };
  const nested = (depth: number): Buffer => Buffer.from("[".repeat(depth) + "]".repeat(depth));

  it.each([
    ["is not JSON", { ...event, dataKind: "binary" as const }, /is not JSON/],
    ["is text", { ...event, dataKind: "text" as const }, /is not JSON/],
    ["is broken JSON", { ...event, data: Buffer.from("{") }, /not valid JSON/],
    ["is too deep", { ...event, data: nested(65) }, /deeper than 64/],
    ["is too large", { ...event, data: Buffer.alloc(2 ** 20 + 1, " ") }, /larger than/],
  ])("does not match where it %s, and that is counted", (_name, faulty, why) => {
    const filter = new SubscriptionFilter({ filters: [{ pattern }] });
    expect(filter.matches(faulty)).toBe(false);
    expect(filter.errorCount).toBe(1);
    expect(filter.failedClause(faulty)).toMatchObject({ isFault: true, path: "filters[0]" });
    expect(filter.failedClause(faulty)?.reason).toMatch(why);
    expect(filter.matches(event)).toBe(false);
    expect(filter.errorCount).toBe(1);
  });

  it("is looked at up to 64 levels, brackets in texts not counted", () => {
    expect(matches({ data: [{ exists: true }] }, { ...event, data: nested(64) })).toBe(true);
    const texts = Buffer.from(JSON.stringify({ speed: '[{"'.repeat(100) }));
    expect(matches({ data: { speed: [{ exists: true }] } }, { ...event, data: texts })).toBe(true);
  });

  it("is not looked at when the attributes do not match", () => {
    const filter = new SubscriptionFilter({ filters: [{ pattern: { data: [1], type: ["x"] } }] });
    expect(filter.matches({ ...event, dataKind: "binary" })).toBe(false);
  });

  it("ends a filter that would take very many comparisons", () => {
    const many = Buffer.from(JSON.stringify(Array.from({ length: 50_000 }, (_, at) => `v${at}`)));
    const tests = Array.from({ length: 300 }, (_, at) => ({ suffix: `x${at}` }));
    const filter = new SubscriptionFilter({ filters: [{ pattern: { data: tests } }] });
    expect(filter.matches({ ...event, data: many })).toBe(false);
    expect(filter.failedClause({ ...event, data: many })?.reason).toMatch(/more than 200000/);
  });
});

describe("a filter that would take very long", () => {
  it("ends over a long attribute too", () => {
    const wildcard = Array.from({ length: 900 }, (_, at) => `*${"ab".repeat(20)}${at}*`);
    const of = sampleEvent({ id: "1", subject: "ab".repeat(100_000) });
    const filter = new SubscriptionFilter({ filters: [{ pattern: { subject: [{ wildcard }] } }] });
    expect(filter.matches(of)).toBe(false);
    expect(filter.failedClause(of)?.reason).toMatch(/more than 200000/);
  });
});

describe("wildcards", () => {
  it.each<[string, string, boolean]>([
    ["*", "", true],
    ["a*", "a", true],
    ["a*a", "a", false],
    ["a**b", "ab", true],
    ["*b*", "abc", true],
    ["a*bc*bc", "abcxbc", true],
    ["a*bc*bc", "abc", false],
    ["*ab*ab*", "abab", true],
    ["*ab*ab*", "aab", false],
    ["a\\*b", "a*b", true],
    ["a\\*b", "axb", false],
    ["a\\\\*", "a\\b", true],
    ["*abababababababababX*", "ab".repeat(20) + "X", true],
    ["*abababababababababX*", "ab".repeat(20), false],
    ["*aabaabaabaabaabaaab*", "aabaabaabaabaabaabaaab", true],
    ["*\u{1F697}0123456789abcdef\u{1F697}*", "x\u{1F697}0123456789abcdef\u{1F697}y", true],
    ["a*b", "axc", false],
  ])("%s on %s gives %s", (wildcard, subject, wanted) => {
    const of = sampleEvent({ id: "1", subject });
    expect(matches({ subject: [{ wildcard }] }, of)).toBe(wanted);
  });
});

describe("address blocks", () => {
  it.each<[string, string, boolean]>([
    ["10.1.2.3/32", "10.1.2.3", true],
    ["10.1.2.3/24", "10.1.2.200", true],
    ["10.1.2.3/24", "10.1.3.1", false],
    ["0.0.0.0/0", "255.255.255.255", true],
    ["10.0.0.0/8", "::ffff:10.1.1.1", true],
    ["2001:db8::/32", "2001:db9::1", false],
    ["2001:db8::/32", "10.0.0.1", false],
    ["fe80::/10", "fe80::1%eth0", true],
    ["10.0.0.0/8", "10.1.1.1.1", false],
  ])("%s contains %s: %s", (cidr, subject, wanted) => {
    const of = sampleEvent({ id: "1", subject });
    expect(matches({ subject: [{ cidr }] }, of)).toBe(wanted);
  });
});

describe("a pattern that cannot be compiled", () => {
  let deep: object = { x: [1] };
  for (let depth = 0; depth < 5_000; depth += 1) deep = { x: deep };

  it.each<[unknown, RegExp]>([
    ["x", /filters\.pattern must be an object/],
    [{}, /filters\.pattern must have at least one key/],
    [{ type: "x" }, /filters\.pattern\.type must be a list, such as \["x"\]/],
    [{ type: [] }, /filters\.pattern\.type must have at least one value/],
    [{ type: [""] }, /filters\.pattern\.type\[0\] must be a text that is not empty/],
    [{ type: [null] }, /type\[0\] is null, which no attribute is/],
    [{ Type: ["x"] }, /Type is not an attribute name - did you mean "type"/],
    [{ "detail-type": ["x"] }, /did you mean "type"/],
    [{ detail: { a: [1] } }, /did you mean "data"/],
    [{ subject: { a: [1] } }, /subject must be a list.*only data can be nested/],
    [{ data: {} }, /pattern\.data must have at least one key/],
    [{ data: { a: 5 } }, /pattern\.data\.a must be a list, such as \[5\]/],
    [{ data: { a: [[1]] } }, /pattern\.data\.a\[0\] must be a text, a number/],
    [{ data: { a: [{ prefx: "x" }] } }, /data\.a\[0\].*"prefx" - did you mean "prefix"\? Known: /],
    [{ data: { a: [{ constructor: "x" }] } }, /unknown operator "constructor"/],
    [{ data: { a: [{ prefix: "x", suffix: "y" }] } }, /exactly one operator/],
    [{ data: { a: [{ prefix: 5 }] } }, /a\[0\]\.prefix must be a text/],
    [{ data: { a: [{ prefix: "x".repeat(2_001) }] } }, /longer than 2000/],
    [{ data: { a: [{ prefix: { suffix: "x" } }] } }, /Known: equals-ignore-case/],
    [{ data: { a: [{ exists: "yes" }] } }, /a\[0\]\.exists must be true or false/],
    [{ data: { a: [{ numeric: [">"] }] } }, /numeric must be a list of operators and numbers/],
    [{ data: { a: [{ numeric: ["=>", 1] }] } }, /numeric\[0\] must be one of = != > >= < <=/],
    [{ data: { a: [{ numeric: [">", "1"] }] } }, /numeric\[1\] must be a number/],
    [{ data: { a: [{ numeric: [">", 5, "<", 3] }] } }, /can never hold/],
    [{ data: { a: [{ numeric: [">", 5, "<=", 5] }] } }, /can never hold/],
    [{ data: { a: [{ "anything-but": [] }] } }, /anything-but must have at least one value/],
    [{ data: { a: [{ "anything-but": { exists: true } }] } }, /unknown operator "exists"/],
    [{ data: { a: [{ wildcard: "a\\b" }] } }, /wildcard has a "\\" that is not before/],
    [{ data: { a: [{ cidr: "10.0.0.0" }] } }, /cidr must be an address block/],
    [{ data: { a: [{ cidr: "10.0.0.0/33" }] } }, /cidr must be an address block/],
    [{ $or: [] }, /pattern\.\$or must be a list of at least one pattern/],
    [{ $or: [{ type: ["x"] }, 5] }, /pattern\.\$or\[1\] must be an object/],
    [{ data: { $or: [["x"]] } }, /data\.\$or\[0\] must be an object of fields/],
    [{ data: deep }, /nested deeper than 32/],
    [{ data: Array.from({ length: 1_001 }, (_, at) => at) }, /more than 1000 conditions/],
    [
      { data: [{ "anything-but": Array.from({ length: 1_001 }, (_, at) => at) }] },
      /more than 1000 conditions/,
    ],
  ])("is refused and told where: %#", (pattern, wanted) => {
    expect(() => compileFilter({ pattern })).toThrow(wanted);
    try {
      compileFilter({ pattern });
    } catch (error) {
      expect(MeshError.is(error, "SUBSCRIPTION_INVALID")).toBe(true);
    }
  });
});

describe("the guide's example", () => {
  const guide = readFileSync(new URL("../../docs/guide/filters.md", import.meta.url), "utf8");
  const [, example = ""] = /## `pattern`\n\n```json\n(.*?)```/s.exec(guide) ?? [];

  it("takes what it says it takes", () => {
    const filter = compileFilter(JSON.parse(example));
    const of = (speed: number, more: object = {}): boolean => {
      const body = { speed, location: { city: "Ningbo" }, ...more };
      const type = "com.example.vehicle.speed";
      return filter.matches(sampleEvent({ id: "1", type, data: JSON.stringify(body) }));
    };
    expect([of(121), of(120), of(251), of(121, { driver: "x" })]).toEqual([
      ...[true, false, false, false],
    ]);
  });
});

describe("why a pattern does not match", () => {
  it.each<[object, object]>([
    [
      { type: [{ prefix: "org." }] },
      { field: "type", found: '"com.acme.speed.changed"', wanted: 'one of [{"prefix":"org."}]' },
    ],
    [
      { data: { at: { lat: [{ numeric: [">", 31] }] } } },
      { reason: 'data.at.lat is 30.25; wanted: one of [{"numeric":[">",31]}]' },
    ],
    [{ data: { at: { x: { y: [1] } } } }, { reason: "data.at.x.y is missing; wanted: one of [1]" }],
    [
      { data: { items: { sku: ["a"], count: [20] } } },
      { field: "data.items", reason: /none of the 2 elements of data\.items/ },
    ],
    [
      { data: { $or: [{ speed: [1] }, { city: ["x"] }] } },
      { reason: /none of the alternatives holds: data\.speed is 42;.*; data\.city is "Hangzhou"/ },
    ],
    [{ $or: [{ level: [1] }, { data: { on: [false] } }] }, { reason: /level is 7.*data\.on is/ }],
  ])("is said of %j", (pattern, wanted) => {
    const spec: FilterSpec = { pattern };
    const failed = new SubscriptionFilter({ filters: [spec] }).failedClause(event);
    const { reason, ...fields } = wanted as { reason?: string | RegExp };
    expect(failed).toMatchObject(fields);
    if (reason instanceof RegExp) expect(failed?.reason).toMatch(reason);
    else if (reason !== undefined) expect(failed?.reason).toBe(reason);
  });
});
