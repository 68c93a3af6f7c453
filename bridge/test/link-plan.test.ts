import { describe, expect, it } from "vitest";
import { bridgeConfigSchema } from "../src/bridge-config.ts";
import { planLinks } from "../src/link-plan.ts";
import type { RegionState, Want } from "../src/region-link.ts";

function states(
  given: Record<string, { wants?: Want[]; topics?: string[] }>,
): Map<string, RegionState> {
  return new Map(
    Object.entries(given).map(([region, { wants = [], topics = [] }]) => [
      region,
      { region, wants, topics, tag: "", nowMs: 0 },
    ]),
  );
}

const keys = (links: ReturnType<typeof planLinks>): string[] =>
  [...links.values()].map(({ from, to, topic }) => `${from}>${to}:${topic}`).sort();

describe("planLinks", () => {
  it("links what a region's subscriptions want, from every other region that has the topic", () => {
    const links = planLinks(
      states({
        a: { topics: ["vehicle.x", "plant.y"] },
        b: { topics: ["vehicle.z"], wants: [{ pattern: "vehicle.*", sinceMs: 5 }] },
        c: { topics: ["vehicle.x"] },
      }),
      [],
    );
    expect(keys(links)).toEqual(["a>b:vehicle.x", "c>b:vehicle.x"]);
  });

  it("starts at the earliest wish that matches, and at all that is kept when a policy asks", () => {
    const given = states({
      a: { topics: ["t"] },
      b: {
        wants: [
          { pattern: ">", sinceMs: 9 },
          { pattern: "t", sinceMs: 5 },
        ],
      },
    });
    expect([...planLinks(given, []).values()][0]?.sinceMs).toBe(5);
    const policy = [{ topic: "t", to: ["b"] }];
    expect([...planLinks(given, policy).values()][0]?.sinceMs).toBeUndefined();
  });

  it("keeps to the directions that a policy names, and never links a region to itself", () => {
    const given = states({ a: { topics: ["t"] }, b: { topics: ["t"] }, c: { topics: ["t"] } });
    const policy = [{ topic: ">", from: ["a", "b"], to: ["b"] }];
    expect(keys(planLinks(given, policy))).toEqual(["a>b:t"]);
  });
});

describe("bridgeConfigSchema", () => {
  const region = (name: string) => ({ name, url: "http://127.0.0.1:1", token: "t" });

  it("refuses regions named twice, policies of unknown regions, and two tokens at once", () => {
    const problems = (input: unknown): string[] =>
      bridgeConfigSchema.safeParse(input).error?.issues.map(({ message }) => message) ?? [];
    expect(problems({ regions: [region("a"), region("a")] })).toEqual(["is named twice"]);
    expect(
      problems({ regions: [region("a"), region("b")], topics: [{ topic: ">", to: ["c"] }] }),
    ).toEqual(['"c" is not one of the regions']);
    expect(problems({ regions: [region("a"), { ...region("b"), tokenFile: "f" }] })).toEqual([
      "give one of token and tokenFile",
    ]);
  });
});
