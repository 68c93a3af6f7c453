import { Counter, Histogram, Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { TallyCounter } from "../src/telemetry/tally-counter.ts";
import { TallyHistogram } from "../src/telemetry/tally-histogram.ts";

const counter = {
  name: "pushes_total",
  help: "Pushes.",
  labelNames: ["topic", "outcome"],
} as const;
const histogram = { name: "push_seconds", help: "Time.", labelNames: ["topic"] } as const;
const buckets = [0.1, 0.5, 1];

/** Two registries that are told the same: one of ours, one of prom-client's own. */
function both(): [ours: Registry, theirs: Registry] {
  const registries: [Registry, Registry] = [new Registry(), new Registry()];
  for (const registry of registries) registry.setDefaultLabels({ cluster: "cn-east" });
  return registries;
}

describe("tallies", () => {
  it("count as a counter of prom-client does, over several scrapes", async () => {
    const [ours, theirs] = both();
    const tallied = new TallyCounter({ ...counter, registers: [ours] });
    const counted = new Counter({ ...counter, registers: [theirs] });
    const texts = async (): Promise<string[]> => [await ours.metrics(), await theirs.metrics()];
    for (const [topic, outcome, times] of [
      ["a", "200", 3],
      ["b", "time out", 1],
      ["a", "200", 2],
    ] as const) {
      tallied.of(topic, outcome).count += times;
      counted.labels(topic, outcome).inc(times);
      const [text, wanted] = await texts();
      expect(text).toBe(wanted);
    }
    expect((await texts())[0]).toContain(
      'pushes_total{topic="a",outcome="200",cluster="cn-east"} 5',
    );
  });

  it("are observed as a histogram of prom-client does, bounds included", async () => {
    const [ours, theirs] = both();
    const tallied = new TallyHistogram({ ...histogram, buckets, registers: [ours] });
    const observed = new Histogram({ ...histogram, buckets, registers: [theirs] });
    for (const topic of ["a", "b"])
      for (const value of [0, 0.1, 0.11, 0.5, 1, 1.5, 40]) {
        tallied.of(topic).observe(value);
        observed.labels(topic).observe(value);
      }
    expect(linesOf(await ours.metrics())).toEqual(linesOf(await theirs.metrics()));
    expect(await ours.metrics()).toMatch(/push_seconds_bucket\{.*le="0.1".*\} 2/);
  });
});

/** The order of a line's labels means nothing. */
function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) =>
      line.replace(/\{(.*)\}/, (_, labels: string) => `{${labels.split(",").sort().join(",")}}`),
    );
}
