import fc from "fast-check";
import type { MeshEvent } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { JsonView } from "../src/filter/json-view.ts";
import { Matcher } from "../src/filter/matcher.ts";
import { PrefixTree } from "../src/filter/prefix-tree.ts";
import { SubscriptionFilter, type FilterSource } from "../src/filter/subscription-filter.ts";
import type { FilterSpec } from "../src/metadata/metadata.ts";
import { sampleEvent } from "./subscription-samples.ts";

const attribute = fc.constantFrom("type", "source", "subject", "color", "level");
const value = fc.constantFrom("a", "ab", "abc", "b", "ba", "1");
const pair = fc.tuple(attribute, value).map(([name, text]) => ({ [name]: text }));
const pairs = fc
  .array(pair, { minLength: 1, maxLength: 2 })
  .map((all) => Object.assign({}, ...all) as object);

const operator = fc.oneof(
  value.map((prefix) => ({ prefix })),
  fc.array(value, { minLength: 1, maxLength: 2 }).map((prefix) => ({ prefix })),
  value.map((suffix) => ({ suffix })),
  value.map((text) => ({ wildcard: `${text}*` })),
  value.map((text) => ({ wildcard: `*${text}` })),
  value.map((text) => ({ "anything-but": text })),
  value.map((text) => ({ "equals-ignore-case": text })),
  fc.boolean().map((exists) => ({ exists })),
  fc.constant({ numeric: [">=", 1] }),
);
const list = fc.array(fc.oneof({ weight: 3, arbitrary: value }, operator), {
  minLength: 1,
  maxLength: 3,
});
const dataList = fc.array(
  fc.oneof({ weight: 3, arbitrary: fc.oneof(value, fc.constantFrom(1, 2, true, null)) }, operator),
  { minLength: 1, maxLength: 3 },
);
const field = fc.constantFrom("x", "y", "z");
const { pattern: anyPattern } = fc.letrec<{ pattern: object; data: object }>((tie) => ({
  data: fc.oneof(
    { depthSize: "small" },
    fc.dictionary(field, dataList, { minKeys: 1, maxKeys: 2 }),
    fc.dictionary(field, tie("data"), { minKeys: 1, maxKeys: 2 }),
    fc.array(tie("data"), { minLength: 1, maxLength: 2 }).map(($or) => ({ $or })),
  ),
  pattern: fc.oneof(
    { depthSize: "small" },
    fc.dictionary(attribute, list, { minKeys: 1, maxKeys: 2 }),
    tie("data").map((data) => ({ data })),
    fc.tuple(attribute, list, tie("data")).map(([name, texts, data]) => ({ [name]: texts, data })),
    fc.array(tie("pattern"), { minLength: 1, maxLength: 3 }).map(($or) => ({ $or })),
  ),
}));
const comparison = fc.oneof(
  fc.tuple(attribute, value).map(([name, text]) => `${name} = '${text}'`),
  fc.tuple(attribute, value).map(([name, text]) => `'${text}' = ${name}`),
  fc.tuple(attribute, value).map(([name, text]) => `${name} != '${text}'`),
  fc.tuple(attribute, value).map(([name, text]) => `${name} LIKE '${text}%'`),
  fc.tuple(attribute, value).map(([name, text]) => `${name} LIKE '${text}'`),
  fc
    .tuple(attribute, value, value)
    .map(([name, one, other]) => `${name} IN ('${one}', '${other}')`),
  attribute.map((name) => `EXISTS ${name}`),
  fc.constantFrom("level = 1", "level > 0", "level = TRUE", "TRUE", "1 / 0 = 0"),
);
const sql = fc
  .tuple(comparison, fc.constantFrom("AND", "OR", "XOR"), comparison, fc.boolean())
  .map(([one, operator, other, isNot]) => `${isNot ? "NOT " : ""}(${one}) ${operator} (${other})`);
const { filter: anyFilter } = fc.letrec<{ filter: FilterSpec }>((tie) => ({
  filter: fc.oneof(
    { depthSize: "small" },
    pairs.map((exact) => ({ exact })),
    pairs.map((prefix) => ({ prefix })),
    pair.map((suffix) => ({ suffix })),
    { weight: 2, arbitrary: sql.map((text) => ({ sql: text })) },
    { weight: 4, arbitrary: anyPattern.map((pattern) => ({ pattern })) },
    fc.array(tie("filter"), { minLength: 1, maxLength: 3 }).map((all) => ({ all })),
    {
      weight: 2,
      arbitrary: fc.array(tie("filter"), { minLength: 1, maxLength: 3 }).map((any) => ({ any })),
    },
    tie("filter").map((not) => ({ not })),
  ),
}));
const anySource = fc.record(
  {
    source: value,
    types: fc.array(value, { minLength: 1, maxLength: 2 }),
    filters: fc.array(anyFilter, { maxLength: 2 }),
  },
  { requiredKeys: ["filters"] },
);

const { json: anyJson } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small", maxDepth: 3 },
    value,
    fc.constantFrom(1, 2, true, null),
    fc.dictionary(field, tie("json"), { maxKeys: 3 }),
    fc.array(tie("json"), { maxLength: 3 }),
  ),
}));
const anyEvent = fc
  .record({
    type: value,
    source: value,
    subject: fc.option(value, { nil: undefined }),
    color: value,
    json: fc.oneof({ weight: 5, arbitrary: anyJson }, fc.constant(undefined)),
  })
  .map(({ color, subject, json, ...rest }): MeshEvent => {
    const event = sampleEvent({
      id: "1",
      ...rest,
      ...(subject !== undefined && { subject }),
      extensions: [
        ["color", color],
        ["level", 1],
      ],
      data: json === undefined ? "" : JSON.stringify(json),
    });
    return json === undefined ? { ...event, dataKind: "binary" } : event;
  });

interface Member {
  readonly filter: SubscriptionFilter;
}

class Counting extends SubscriptionFilter {
  static evaluations = 0;
  override matches(event: MeshEvent, json?: JsonView): boolean {
    Counting.evaluations += 1;
    return super.matches(event, json);
  }
}

/** How many filters are evaluated for an event, and how many of them match. */
function costOf(sources: readonly FilterSource[], event: MeshEvent): [number, number] {
  const matcher = new Matcher<Member>();
  for (const source of sources) matcher.add({ filter: new Counting(source) });
  Counting.evaluations = 0;
  const found: Member[] = [];
  matcher.match(event, found);
  return [Counting.evaluations, found.length];
}

function thousands(filterOf: (at: number) => FilterSpec): FilterSource[] {
  return Array.from({ length: 5_000 }, (_, at) => ({ filters: [filterOf(at)] }));
}

describe("indexed matcher", () => {
  it("finds exactly the members that trying each one finds, each once, also after removals", () => {
    const sources = fc.array(anySource, { minLength: 1, maxLength: 30 });
    const events = fc.array(anyEvent, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(sources, events, (given, them) => {
        const members = given.map((source) => ({ filter: new SubscriptionFilter(source) }));
        const matcher = new Matcher<Member>();
        for (const member of members) matcher.add(member);
        const removed = members.filter((_, at) => at % 3 === 0);
        const check = (left: readonly Member[]): void => {
          for (const event of them) {
            const found: Member[] = [];
            matcher.match(event, found);
            const wanted = left.filter(({ filter }) => filter.matches(event));
            expect(found).toHaveLength(wanted.length);
            expect(new Set(found)).toEqual(new Set(wanted));
          }
        };
        check(members);
        for (const member of removed) matcher.remove(member);
        check(members.filter((member) => !removed.includes(member)));
        for (const member of removed) matcher.add(member);
        check(members);
        for (const member of members) matcher.remove(member);
        check([]);
        expect(matcher.size).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  const event = sampleEvent({
    id: "1",
    subject: "s42/door",
    extensions: [["vin", "v42"]],
    data: '{"car":{"vin":"v42"},"tags":[{"n":41},{"n":42},{"n":42}]}',
  });

  it.each<[string, (at: number) => FilterSpec]>([
    ["a subject", (at) => ({ exact: { subject: at === 42 ? "s42/door" : `s${at}` } })],
    ["an extension", (at) => ({ exact: { type: "speed.changed", vin: `v${at}` } })],
    ["the beginning of a subject", (at) => ({ prefix: { subject: `s${at}/` } })],
    [
      "beginnings in a pattern",
      (at) => ({ pattern: { subject: [{ prefix: `s${at}/` }, `x${at}`] } }),
    ],
    [
      "a wildcard behind a beginning",
      (at) => ({ pattern: { subject: [{ wildcard: `s${at}/*r` }] } }),
    ],
    [
      "alternatives",
      (at) => ({ any: [{ exact: { subject: `x${at}` } }, { prefix: { subject: `s${at}/` } }] }),
    ],
    ["a value in the data", (at) => ({ pattern: { data: { car: { vin: [`v${at}`] } } } })],
    [
      "a value in an array",
      (at) => ({ pattern: { data: { tags: { n: [at + 0.5, at === 42 ? 42 : -at] } } } }),
    ],
    [
      "alternatives in the data",
      (at) => ({
        pattern: {
          data: { $or: [{ car: { vin: [`v${at}`] } }, { car: { vin: [`w${at}`], x: [1] } }] },
        },
      }),
    ],
  ])("evaluates one filter of thousands where each names %s", (_name, filterOf) => {
    expect(costOf(thousands(filterOf), event)).toEqual([1, 1]);
  });

  it("finds each member once where it is found by several ways", () => {
    const found = (filter: FilterSpec): number => costOf([{ filters: [filter] }], event)[1];
    expect(found({ pattern: { subject: [{ prefix: ["s", "s4", "s42", "x"] }] } })).toBe(1);
    expect(found({ pattern: { data: { tags: { n: [41, 42] } } } })).toBe(1);
    const two = [41, 42].map((n) => ({ filters: [{ pattern: { data: { tags: { n: [n] } } } }] }));
    expect(costOf(two, event)).toEqual([2, 2]);
  });

  it("looks where the fewest are, whatever all of them have in common", () => {
    const common = (at: number): FilterSpec => ({
      pattern: { type: ["speed.changed"], data: { car: { vin: [`v${at}`] } } },
    });
    const [evaluations, found] = costOf(thousands(common), event);
    expect(found).toBe(1);
    expect(evaluations).toBeLessThan(20);
  });

  it("parses the data at most once for all, and not at all when nobody looks at it", () => {
    let reads = 0;
    const counting: MeshEvent = {
      ...event,
      get data() {
        reads += 1;
        return event.data;
      },
    };
    costOf(
      thousands((at) => ({ pattern: { data: { car: [{ suffix: `${at}` }] } } })),
      counting,
    );
    expect(reads).toBe(1);
    costOf(
      thousands((at) => ({ pattern: { type: [{ suffix: `${at}` }] } })),
      counting,
    );
    expect(reads).toBe(1);
  });
});

describe("prefix tree", () => {
  it("finds what trying each prefix finds, also after removals, and keeps nothing of what is removed", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 6 });
    const prefixes = fc.uniqueArray(
      text.filter((one) => one !== ""),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(prefixes, fc.array(text, { maxLength: 10 }), (given, texts) => {
        const tree = new PrefixTree<string>();
        for (const prefix of given) tree.add(prefix, prefix);
        let left = given;
        for (const prefix of [...given, ""]) {
          for (const one of texts) {
            const found: string[] = [];
            tree.find(one, (members) => found.push(...members));
            expect(found.sort()).toEqual(left.filter((it) => one.startsWith(it)).sort());
          }
          tree.remove(prefix, prefix);
          left = left.filter((it) => it !== prefix);
          for (const one of given) expect(tree.countAt(one)).toBe(left.includes(one) ? 1 : 0);
        }
        expect(tree.isEmpty).toBe(true);
      }),
    );
  });
});
