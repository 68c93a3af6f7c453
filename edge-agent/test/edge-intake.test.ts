import { describe, expect, it } from "vitest";
import { noExtensions, type Extension, type MeshEvent } from "@fleetmesh/core";
import { EdgeIntake, expiryOf } from "../src/agent/edge-intake.ts";
import type { AppendItem, EventBuffer } from "../src/buffer/buffer.ts";

function eventWith(extensions: readonly Extension[] = noExtensions): MeshEvent {
  return {
    id: "1",
    source: "/s",
    type: "t",
    subject: undefined,
    time: undefined,
    datacontenttype: undefined,
    dataschema: undefined,
    extensions,
    data: undefined,
    dataKind: "json",
  };
}

function intakeOver(append: (items: readonly AppendItem[]) => Promise<void>): EdgeIntake {
  const current = { append } as EventBuffer;
  return new EdgeIntake({
    buffers: { current },
    classOf: (topic) => (topic === "alarm" ? "critical" : "normal"),
    wallMs: () => 1_000,
  });
}

describe("EdgeIntake", () => {
  it("resolves only when the buffer has made the events durable", async () => {
    let isDurable: () => void = () => undefined;
    const intake = intakeOver(() => new Promise((resolve) => (isDurable = resolve)));
    let isAnswered = false;
    const taken = intake.take({ topic: "alarm", events: [eventWith()] }).then(() => {
      isAnswered = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isAnswered).toBe(false);
    isDurable();
    await taken;
    expect(isAnswered).toBe(true);
  });

  it("gives events the class of their topic and the time they came", async () => {
    const got: AppendItem[] = [];
    const intake = intakeOver((items) => {
      got.push(...items);
      return Promise.resolve();
    });
    await intake.take({ topic: "alarm", events: [eventWith()] });
    expect(got).toMatchObject([
      { eventClass: "critical", entry: { topic: "alarm", receivedMs: 1_000 } },
    ]);
  });

  it("says STOPPING once closed, and takes again when opened", async () => {
    const intake = intakeOver(() => Promise.resolve());
    intake.close();
    await expect(intake.take({ topic: "t", events: [eventWith()] })).rejects.toMatchObject({
      kind: "STOPPING",
    });
    intake.open();
    await intake.take({ topic: "t", events: [eventWith()] });
  });
});

describe("expiryOf", () => {
  it("reads expirytime, and lets nothing expire by what is no timestamp", () => {
    const at = "2026-01-01T00:00:00Z";
    expect(expiryOf(eventWith([["expirytime", at]]))).toBe(Date.parse(at));
    expect(expiryOf(eventWith([["expirytime", "soon"]]))).toBeUndefined();
    expect(expiryOf(eventWith())).toBeUndefined();
  });
});
