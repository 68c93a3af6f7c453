import { describe, expect, it } from "vitest";
import { classOfRank, classRank, eventClasses } from "../src/topic/event-class.ts";
import { assertTopic, compileTopicPattern, isTopic, isTopicPattern } from "../src/topic/topic.ts";

describe("A topic name", () => {
  it.each(["a", "vehicle.telemetry", "a-1.b-2", "-", "a".repeat(200)])("may be %s", (text) => {
    expect(isTopic(text)).toBe(true);
    expect(() => assertTopic(text)).not.toThrow();
  });

  it.each(["", ".", "a.", ".a", "a..b", "A", "a_b", "a b", "ü", "a.*", "a\n", "a".repeat(201)])(
    "may not be %j",
    (text) => {
      expect(isTopic(text)).toBe(false);
      expect(() => assertTopic(text)).toThrow("is not a topic name");
    },
  );
});

describe("A topic pattern", () => {
  it.each([
    ["a.b", ["a.b"], ["a", "a.b.c", "a.c"]],
    ["a.*", ["a.b", "a.c"], ["a", "a.b.c", "b.a"]],
    ["*", ["a"], ["a.b"]],
    ["a.>", ["a.b", "a.b.c"], ["a", "b.c"]],
    ["*.b.>", ["a.b.c", "x.b.c.d"], ["a.b", "a.c.d"]],
    [">", ["a", "a.b"], []],
  ])("%s", (pattern, matching, others) => {
    const matches = compileTopicPattern(pattern);
    expect(matching.filter((topic) => !matches(topic))).toEqual([]);
    expect(others.filter(matches)).toEqual([]);
  });

  it.each(["", "a.>.b", "a*", "a.**", ">a", "a.>>", "*>", "A.*"])("may not be %j", (pattern) => {
    expect(isTopicPattern(pattern)).toBe(false);
    expect(() => compileTopicPattern(pattern)).toThrow("is not a topic pattern");
  });
});

describe("The rank of a class", () => {
  it("is its number on disk, which never changes", () => {
    expect(eventClasses.map(classRank)).toEqual([0, 1, 2]);
    expect([0, 1, 2, 3].map(classOfRank)).toEqual(["critical", "normal", "bulk", undefined]);
  });
});
