import { SimulatedClock } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { ProgressLine } from "../src/dev/pulsar/progress-line.ts";

function open(isTTY: boolean) {
  const clock = new SimulatedClock();
  const said: string[] = [];
  const progress = new ProgressLine({ isTTY, write: (text) => said.push(text) }, clock);
  return { clock, said, progress };
}

describe("The progress of a download", () => {
  it("is one bar that grows on a terminal, and what follows begins on its own line", () => {
    const { said, progress } = open(true);
    for (const share of [0, 0.5, 1]) progress.show({ text: "Pulsar", share });
    progress.end();
    progress.end();
    const bars = said.slice(0, 3).map((text) => text.replace("\r\u001b[K", ""));
    expect(bars).toEqual([
      `Pulsar  [${".".repeat(30)}] 0 %`,
      `Pulsar  [${"#".repeat(15)}${".".repeat(15)}] 50 %`,
      `Pulsar  [${"#".repeat(30)}] 100 %`,
    ]);
    expect(said.slice(3)).toEqual(["\n"]);
  });

  it("is a line now and then in a log, and every step in it", async () => {
    const { clock, said, progress } = open(false);
    progress.show({ text: "begins", share: 0 });
    for (let share = 0.01; share < 0.99; share += 0.01) {
      await clock.advance(100);
      progress.show({ text: "goes on", share });
    }
    progress.show({ text: "unpacks" });
    progress.end();
    expect(said).toEqual(["begins\n", "goes on\n", "unpacks\n"]);
  });
});
