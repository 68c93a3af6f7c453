import { describe, expect, it } from "vitest";
import { GroupTable } from "../src/store/pulsar/group-table.ts";
import type { GroupPlace } from "../src/store/shared/group-place.ts";

const place = (atMs: number): GroupPlace => ({
  atMs,
  origins: [{ region: "cn-east", sentMs: atMs, runs: [{ run: 16, through: 9, open: "3,5-6" }] }],
});
const told = (subscription: string, atMs: number) => ({
  ...{ topic: "vehicle.speed", region: "cn-east", subscription, place: place(atMs) },
});

describe("where consumer groups are, as their regions told it", () => {
  it("is what was told last, also after a restart", () => {
    const changed = new Set<string>();
    const table = new GroupTable((key) => changed.add(key));
    for (const atMs of [1, 2]) table.hear(told("billing", atMs));
    expect(table.of("billing")).toEqual([told("billing", 2)]);
    const restored = new GroupTable(() => undefined);
    for (const key of changed) restored.restore(key, table.encode(key));
    expect(restored.of("billing")).toEqual([told("billing", 2)]);
    expect(restored.of("other")).toEqual([]);
  });

  it("is said of one subscription in all its topics and regions, those told last at the end, whatever else is told", () => {
    const model: ReturnType<typeof told>[] = [];
    const table = new GroupTable(() => undefined, 60);
    for (let atMs = 1; atMs <= 500; atMs += 1) {
      const place = told(`s${(atMs * 7) % 11}`, atMs);
      const each = { ...place, topic: `t${atMs % 5}`, region: atMs % 3 === 0 ? "a" : "b" };
      const isSame = (one: typeof each): boolean =>
        one.subscription === each.subscription &&
        one.topic === each.topic &&
        one.region === each.region;
      const before = model.findIndex(isSame);
      if (before >= 0) model.splice(before, 1);
      model.push(each);
      if (model.length > 60) model.shift();
      table.hear(each);
      const key = `p/${each.topic}/${each.subscription}/${each.region}`;
      if (atMs % 13 === 0) {
        table.restore(key, undefined);
        model.pop();
      }
      expect(table.of(each.subscription)).toEqual(
        model.filter(({ subscription }) => subscription === each.subscription),
      );
    }
  });

  it("forgets the one that was told longest ago beyond its bound, durably", () => {
    const changed: string[] = [];
    const table = new GroupTable((key) => changed.push(key), 2);
    for (const [subscription, atMs] of [
      ["a", 1],
      ["b", 2],
      ["a", 3],
      ["c", 4],
    ] as const)
      table.hear(told(subscription, atMs));
    expect(table.of("b")).toEqual([]);
    expect(table.of("a")).toEqual([told("a", 3)]);
    expect(table.of("c")).toHaveLength(1);
    expect(changed.at(-1)).toContain("/b/");
    expect(table.encode(changed.at(-1) ?? "")).toBeUndefined();
  });
});
