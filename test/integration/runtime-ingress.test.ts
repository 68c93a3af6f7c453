import { afterEach, describe, expect, it, vi } from "vitest";
import {
  agentMadeId,
  encodeWire,
  noExtensions,
  type BlockEntry,
  type Segment,
  type WireMessage,
} from "@fleetmesh/core";
import { RuntimeHarness } from "./runtime-harness.ts";

const epoch = "00000000000000aa";
const open: RuntimeHarness[] = [];

async function runtime(...given: Parameters<typeof RuntimeHarness.open>): Promise<RuntimeHarness> {
  const harness = await RuntimeHarness.open(...given);
  open.push(harness);
  return harness;
}

afterEach(async () => {
  for (const harness of open.splice(0)) await harness.close();
});

function entry(sequence: number, topic = "vehicle.telemetry", bytes = 20): BlockEntry {
  return {
    topic,
    sequence,
    receivedMs: 1_700_000_000_000 + sequence,
    event: {
      id: `e${sequence}`,
      source: "/vehicles/1",
      type: "speed",
      subject: undefined,
      time: undefined,
      datacontenttype: "application/json",
      dataschema: undefined,
      extensions: noExtensions,
      data: Buffer.from(JSON.stringify({ v: "x".repeat(bytes) })),
      dataKind: "json",
    },
  };
}

function batch(first: number, entries: BlockEntry[], agentId = "car-1"): WireMessage {
  const segments: Segment[] = [{ kind: "events", first, entries }];
  const last = first + entries.length - 1;
  return { kind: "batch", agentId, epoch, eventClass: "normal", first, last, segments };
}

function events(first: number, count: number): BlockEntry[] {
  return Array.from({ length: count }, (_, at) => entry(first + at));
}

function hello(agentId = "car-1", of = epoch): WireMessage {
  return { kind: "hello", agentId, epoch: of, classes: {}, sentMs: Date.now() };
}

const storeTypes = ["memory", "sqlite"] as const;

describe.each(storeTypes)("agents' batches into a region on the %s store", (type) => {
  it("are durable when the PUBACK comes, and acknowledged up to the last sequence", async () => {
    const region = await runtime({ store: { type } });
    const agent = await region.connectAgent("car-1");
    await agent.send(encodeWire(hello()));
    await vi.waitFor(() => expect(agent.acks).toHaveLength(1));
    expect(agent.acks[0]).toMatchObject({ epoch, watermarks: {}, rewind: [], rejected: [] });
    expect(agent.acks[0]?.creditBytes).toBeGreaterThan(0);
    await agent.send(encodeWire(batch(1, events(1, 50))));
    expect(await region.ids("vehicle.telemetry")).toEqual(events(1, 50).map((e) => e.event.id));
    await vi.waitFor(() =>
      expect(agent.acks.at(-1)?.watermarks.normal).toMatchObject({ sequence: 50, stored: 50 }),
    );
    await agent.end();
  });

  it("sent many at a time keep their order, and sent again are stored once", async () => {
    const region = await runtime({ store: { type } });
    const agent = await region.connectAgent("car-1");
    const batches = Array.from({ length: 20 }, (_, at) =>
      batch(at * 10 + 1, events(at * 10 + 1, 10)),
    );
    await Promise.all(batches.map((one) => agent.send(encodeWire(one))));
    await Promise.all(batches.map((one) => agent.send(encodeWire(one))));
    expect(await region.ids("vehicle.telemetry")).toEqual(events(1, 200).map((e) => e.event.id));
    await vi.waitFor(() => expect(agent.acks.at(-1)?.watermarks.normal?.sequence).toBe(200));
    await agent.end();
  });

  it("that begin beyond the watermark are refused with one rewind, until the agent goes back", async () => {
    const region = await runtime({ store: { type } });
    const agent = await region.connectAgent("car-1");
    await Promise.all(
      [11, 21, 31].map((first) => agent.send(encodeWire(batch(first, events(first, 10))))),
    );
    await vi.waitFor(() =>
      expect(agent.acks.some((ack) => ack.rewind.includes("normal"))).toBe(true),
    );
    expect(await region.ids("vehicle.telemetry")).toEqual([]);
    for (const first of [1, 11, 21, 31])
      await agent.send(encodeWire(batch(first, events(first, 10))));
    await vi.waitFor(() => expect(agent.acks.at(-1)?.watermarks.normal?.sequence).toBe(40));
    expect(agent.acks.filter((ack) => ack.rewind.length > 0)).toHaveLength(1);
    expect(await region.ids("vehicle.telemetry")).toHaveLength(40);
    await agent.end();
  });
});

describe("the agents' ingress", () => {
  it("keeps an event that is refused for good as rejected, counts it as handled and names it", async () => {
    const region = await runtime({ limits: { maxEventBytes: 65_536 } });
    const agent = await region.connectAgent("car-1", { publish: ["vehicle.*"], agent: "car-1" });
    const entries = [entry(1), entry(2, "secret.topic"), entry(3, undefined, 70_000), entry(4)];
    await agent.send(encodeWire(batch(1, entries)));
    await vi.waitFor(() =>
      expect(agent.acks.at(-1)?.watermarks.normal).toMatchObject({
        sequence: 4,
        stored: 2,
        rejected: 2,
      }),
    );
    expect(agent.acks.flatMap((ack) => ack.rejected.map((r) => [r.sequence, r.code]))).toEqual([
      [2, "MESH-3003"],
      [3, "MESH-1002"],
    ]);
    expect(await region.ids("vehicle.telemetry")).toEqual(["e1", "e4"]);
    const ledger = (await (await region.request("/v1/ledger")).json()) as Record<string, unknown>;
    expect(ledger).toMatchObject({ rejected: 2, difference: 0 });
    await agent.end();
  });

  it("rejects events of topics that do not exist where topics are not made by themselves", async () => {
    const region = await runtime({ autoCreateTopics: false, store: { type: "memory" } });
    await region.request("/v1/topics/vehicle.telemetry", { method: "PUT" });
    const agent = await region.connectAgent("car-1");
    await agent.send(encodeWire(batch(1, [entry(1), entry(2, "vehicle.telemetri")])));
    await vi.waitFor(() => expect(agent.acks.at(-1)?.rejected[0]?.code).toBe("MESH-5002"));
    expect(await region.ids("vehicle.telemetry")).toEqual(["e1"]);
    await agent.end();
  });

  it("closes the connection without a PUBACK on what it cannot read, late, after saying why", async () => {
    const region = await runtime({ store: { type: "memory" } });
    const agent = await region.connectAgent("car-1");
    await agent.send(encodeWire(hello()));
    const startedMs = performance.now();
    await expect(agent.send(Buffer.from("no batch at all"))).rejects.toThrow();
    expect(performance.now() - startedMs).toBeGreaterThan(900);
    expect(agent.acks.at(-1)?.refused?.code).toBe("MESH-1006");
    const metrics = await (await fetch(`${region.url}/metrics`)).text();
    expect(metrics).toMatch(
      /fleetmesh_agent_messages_refused_total\{reason="WIRE_INVALID",[^}]*\} 1/,
    );
  });

  it("takes batches only from the agent whose token and client id they name", async () => {
    const region = await runtime({ store: { type: "memory" } });
    const other = { publish: [">"], agent: "car-2" };
    const wrongToken = await region.connectAgent("car-2", other);
    await expect(
      wrongToken.send(encodeWire(batch(1, events(1, 1))), "batches/car-1"),
    ).rejects.toThrow();
    const wrongPayload = await region.connectAgent("car-2", other);
    await expect(wrongPayload.send(encodeWire(batch(1, events(1, 1))))).rejects.toThrow();
    expect(await region.ids("vehicle.telemetry")).toEqual([]);
  });

  it("lets an agent come back with the same client id while its old connection is half open", async () => {
    const region = await runtime({ store: { type: "memory" } });
    const before = await region.connectAgent("car-1");
    await before.send(encodeWire(batch(1, events(1, 5))));
    const after = await region.connectAgent("car-1");
    await after.send(encodeWire(hello()));
    await vi.waitFor(() => expect(after.acks.at(-1)?.watermarks.normal?.sequence).toBe(5));
    expect(after.acks.every((ack) => ack.refused === undefined)).toBe(true);
    await vi.waitFor(() => expect(before.isClosed).toBe(true));
    await after.end();
  });

  it("tells two copies of one buffer that throw each other out that they are clones", async () => {
    const region = await runtime({ store: { type: "memory" } });
    for (let turn = 0; turn < 5; turn += 1) {
      const copy = await region.connectAgent("car-1");
      await copy.send(encodeWire(hello())).catch(() => undefined);
      if (turn < 4) continue;
      await vi.waitFor(() => expect(copy.acks.at(-1)?.refused?.code).toBe("MESH-5006"));
    }
    const healed = await region.connectAgent("car-1");
    await healed.send(encodeWire(hello("car-1", "00000000000000bb")));
    await vi.waitFor(() => expect(healed.acks.length).toBeGreaterThan(0));
    expect(healed.acks.at(-1)).toMatchObject({ epoch: "00000000000000bb" });
    expect(healed.acks.at(-1)?.refused).toBeUndefined();
    await healed.end();
  });

  it("takes a foreign program's structured event by MQTT and answers a repeat with success", async () => {
    const region = await runtime();
    const device = await region.connectAgent("device-7");
    const text = `{"specversion":"1.0","id":"a","source":"/d","type":"t","data":{"n": 1.0e2}}`;
    await device.send(Buffer.from(text), "events/plant.line");
    await device.send(Buffer.from(text), "events/plant.line");
    expect(await region.ids("plant.line")).toEqual(["a"]);
    const page = await (await region.request("/v1/topics/plant.line/events")).text();
    expect(page).toContain(`{"n": 1.0e2}`);
    await device.end();
  });

  it("keeps what was acknowledged over a restart, and the watermark with it", async () => {
    const region = await runtime();
    const before = await region.connectAgent("car-1");
    await before.send(encodeWire(batch(1, events(1, 5))));
    await region.stop();
    await region.start();
    const after = await region.connectAgent("car-1");
    await after.send(encodeWire(hello()));
    await vi.waitFor(() => expect(after.acks.at(-1)?.watermarks.normal?.sequence).toBe(5));
    expect(await region.ids("vehicle.telemetry")).toHaveLength(5);
    expect(agentMadeId(epoch, "normal", 1)).toBeDefined();
    await after.end();
  });
});
