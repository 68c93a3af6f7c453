import { describe, expect, it } from "vitest";
import { Assembly } from "../src/lifecycle/assembly.ts";
import type { Part } from "../src/lifecycle/part.ts";

const deadline = (): AbortSignal => new AbortController().signal;

function partOf(name: string, log: string[], failing?: "start" | "stop"): Part {
  const act = (what: "start" | "stop") => async (): Promise<void> => {
    await Promise.resolve();
    log.push(`${what} ${name}`);
    if (failing === what) throw new Error(`${name} cannot ${what}`);
  };
  return { name, start: act("start"), stop: act("stop") };
}

describe("An assembly", () => {
  it("starts in order and stops in reverse", async () => {
    const log: string[] = [];
    const assembly = new Assembly("all", [partOf("a", log)]);
    assembly.add(partOf("b", log));
    await assembly.start();
    await assembly.stop(deadline());
    expect(log).toEqual(["start a", "start b", "stop b", "stop a"]);
  });

  it("stops what had started when one fails, and tells the first error", async () => {
    const log: string[] = [];
    const parts = [partOf("a", log), partOf("b", log, "start"), partOf("c", log)];
    await expect(new Assembly("all", parts).start()).rejects.toThrow("b cannot start");
    expect(log).not.toContain("start c");
    expect(log.at(-1)).toBe("stop a");
  });

  it("stops all although one cannot, then says so", async () => {
    const log: string[] = [];
    const assembly = new Assembly("all", [partOf("a", log), partOf("b", log, "stop")]);
    await assembly.start();
    await expect(assembly.stop(deadline())).rejects.toThrow("all did not stop cleanly");
    expect(log.at(-1)).toBe("stop a");
  });

  it("stops once, whoever asks, and each waits for the end", async () => {
    const log: string[] = [];
    const assembly = new Assembly("all", [partOf("a", log)]);
    await assembly.start();
    void assembly.stop(deadline());
    await assembly.stop(deadline());
    expect(log).toEqual(["start a", "stop a"]);
  });

  it("may be stopped before it started, and started again", async () => {
    const log: string[] = [];
    const assembly = new Assembly("all", [partOf("a", log)]);
    await assembly.stop(deadline());
    await assembly.start();
    await assembly.stop(deadline());
    await assembly.start();
    expect(log).toEqual(["start a", "stop a", "start a"]);
  });

  it("leaves nothing running when it is stopped while it starts", async () => {
    const log: string[] = [];
    const assembly = new Assembly("all", [partOf("a", log), partOf("b", log)]);
    const starting = assembly.start();
    await assembly.stop(deadline());
    await expect(starting).rejects.toThrow("stopped while it started");
    expect(log).not.toContain("start b");
    expect(log.at(-1)).toBe("stop a");
  });
});
