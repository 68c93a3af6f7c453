import { describe, expect, it } from "vitest";
import { SimulatedClock } from "@fleetmesh/core";
import { openMemoryStore } from "../src/store/memory-store.ts";
import { RetentionClock } from "../src/store/shared/retention-clock.ts";

const dayMs = 24 * 3_600_000;

describe("RetentionClock", () => {
  it("follows small steps and steps back, and goes on by passing time after a jump ahead", async () => {
    const clock = new SimulatedClock(0);
    const retention = new RetentionClock(clock);
    clock.jumpWall(60_000);
    expect(retention.nowMs()).toBe(60_000);
    clock.jumpWall(400 * dayMs);
    await clock.advance(1_000);
    expect(retention.nowMs()).toBe(61_000);
    clock.jumpWall(-400 * dayMs);
    expect(retention.nowMs()).toBe(61_000);
    clock.jumpWall(-30_000);
    expect(retention.nowMs()).toBe(31_000);
  });

  it("starts from the newest stored event when the wall clock is far ahead of it", async () => {
    const clock = new SimulatedClock(400 * dayMs);
    const retention = new RetentionClock(clock, 60_000);
    expect(retention.nowMs()).toBe(60_000 + 3_600_000);
    await clock.advance(1_000);
    expect(retention.nowMs()).toBe(61_000 + 3_600_000);
    expect(new RetentionClock(clock, 400 * dayMs - 10).nowMs()).toBe(clock.wallMs());
    expect(new RetentionClock(clock).nowMs()).toBe(clock.wallMs());
  });

  it("keeps a jumping clock from emptying a store", async () => {
    const clock = new SimulatedClock();
    const { events } = openMemoryStore({ region: "a", clock });
    await events.start();
    const none = { subject: undefined, time: undefined, dataschema: undefined };
    const type = {
      type: "t",
      datacontenttype: undefined,
      extensions: [],
      dataKind: "json",
    } as const;
    const event = { id: "e", source: "s", ...none, ...type, data: undefined };
    await events.appendDirect({ topic: "t", receivedMs: 0, events: [event] });
    clock.jumpWall(400 * dayMs);
    await clock.advance(600_000);
    expect(await events.bounds("t")).toMatchObject({ stored: 1, trimmed: 0 });
    await events.stop();
    await events.start();
    await clock.advance(600_000);
    expect(await events.bounds("t")).toMatchObject({ stored: 1, trimmed: 0 });
    await events.stop();
  });
});
