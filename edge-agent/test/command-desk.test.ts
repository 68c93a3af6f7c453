import { describe, expect, it } from "vitest";
import { attributeOf, createLogger, type MeshEvent } from "@fleetmesh/core";
import { CommandDesk } from "../src/agent/command-desk.ts";

const logger = createLogger({ part: "test", level: "silent" });

async function handled(payload: string, deliver: () => Promise<number>): Promise<MeshEvent> {
  return new Promise((resolve) => {
    const report = (topic: string, event: MeshEvent): Promise<void> => {
      expect(topic).toBe("mesh.command.result");
      resolve(event);
      return Promise.resolve();
    };
    const limits = { maxEventBytes: 65_536 };
    new CommandDesk({ agentId: "car-1", limits, deliver, report, logger }).take(
      Buffer.from(payload),
    );
  });
}

const command = `{"specversion":"1.0","id":"c1","source":"/ops","type":"lock","correlationid":"trip-7"}`;
const dataOf = ({ data }: MeshEvent): unknown => JSON.parse(Buffer.from(data ?? []).toString());

describe("CommandDesk", () => {
  it("reports a command that local subscribers got, with what caused it", async () => {
    const event = await handled(command, () => Promise.resolve(2));
    expect(event).toMatchObject({
      id: "",
      source: "/agents/car-1",
      type: "com.fleetmesh.command.delivered.v1",
    });
    expect(attributeOf(event, "causationid")).toBe("c1");
    expect(attributeOf(event, "correlationid")).toBe("trip-7");
    expect(dataOf(event)).toEqual({
      agentId: "car-1",
      commandId: "c1",
      commandType: "lock",
      subscribers: 2,
    });
  });

  it("reports a command that nobody here listens to, and one whose delivery failed", async () => {
    const unheard = await handled(command, () => Promise.resolve(0));
    expect(unheard.type).toBe("com.fleetmesh.command.undeliverable.v1");
    expect(dataOf(unheard)).toMatchObject({ reason: "nobody subscribes to commands here" });
    const failed = await handled(command, () => Promise.reject(new Error("socket gone")));
    expect(dataOf(failed)).toMatchObject({ commandId: "c1", reason: "socket gone" });
  });

  it("hands on nothing that is no CloudEvent, and says so", async () => {
    let isDelivered = false;
    const event = await handled(`{"id":"c1"}`, () => {
      isDelivered = true;
      return Promise.resolve(1);
    });
    expect(isDelivered).toBe(false);
    expect(event.type).toBe("com.fleetmesh.command.undeliverable.v1");
    expect(event.extensions).toEqual([]);
  });
});
