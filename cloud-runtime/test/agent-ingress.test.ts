import { describe, expect, it } from "vitest";
import {
  createLogger,
  decodeAck,
  encodeWire,
  eventPrint,
  noExtensions,
  SimulatedClock,
  type AgentAck,
  type BlockEntry,
  type WireMessage,
} from "@fleetmesh/core";
import type { Principal } from "@fleetmesh/door";
import type { AgentConnection } from "../src/ingress/agent-connection.ts";
import { AgentIngress } from "../src/ingress/agent-ingress.ts";
import { MemoryMetadata } from "../src/metadata/memory-metadata.ts";
import { openMemoryStore } from "../src/store/memory-store.ts";
import { createRuntimeMetrics } from "../src/telemetry/runtime-metrics.ts";

const epoch = "00000000000000aa";

function entry(sequence: number): BlockEntry {
  return {
    topic: "a",
    sequence,
    receivedMs: 1,
    event: {
      id: `e${sequence}`,
      source: "/s",
      type: "t",
      subject: undefined,
      time: undefined,
      datacontenttype: undefined,
      dataschema: undefined,
      extensions: noExtensions,
      data: undefined,
      dataKind: "binary",
    },
  };
}

function batch(first: number, count: number): Uint8Array {
  const entries = Array.from({ length: count }, (_, at) => entry(first + at));
  return encodeWire({
    kind: "batch",
    agentId: "car-1",
    epoch,
    eventClass: "normal",
    first,
    last: first + count - 1,
    segments: [{ kind: "events", first, entries }],
  });
}

const hello: WireMessage = { kind: "hello", agentId: "car-1", epoch, classes: {}, sentMs: 0 };

class Connection implements AgentConnection {
  readonly clientId: string;
  readonly principal: Principal = {
    name: "car-1",
    mayPublish: () => true,
    maySubscribe: () => true,
    isOperator: false,
    agentId: "car-1",
    isRegionLink: false,
    expiresMs: Infinity,
  };
  readonly acks: AgentAck[] = [];

  constructor(clientId = "car-1") {
    this.clientId = clientId;
  }

  send(_topic: string, payload: Uint8Array): void {
    this.acks.push(decodeAck(payload));
  }
}

async function setUp(commitMs = 5) {
  const clock = new SimulatedClock();
  const store = openMemoryStore({ region: "r", clock, commitMs });
  await store.events.start();
  await store.deliveries.start();
  const metadata = new MemoryMetadata({ autoCreateTopics: true });
  const metrics = createRuntimeMetrics({
    region: "r",
    withProcess: false,
    ledger: () => store.events.ledger(),
    topics: metadata,
  });
  const logger = createLogger({ part: "test", level: "silent" });
  const ports = { store: store.events, metadata, metrics, clock, logger };
  const ingress = new AgentIngress(ports, {
    maxEventBytes: 262_144,
    messageBytesMax: 1_000_000,
    unpackedBytesMax: 4_000_000,
    inFlightBytes: 1_000_000,
  });
  return { clock, store, ingress };
}

function outcome(promise: Promise<void>): { of: () => string } {
  let state = "waiting";
  promise.then(
    () => (state = "taken"),
    (error: unknown) => (state = String((error as { kind?: string }).kind)),
  );
  return { of: () => state };
}

describe("AgentIngress", () => {
  it("does not acknowledge before the store is durable", async () => {
    const { clock, ingress } = await setUp(50);
    const car = new Connection();
    const sending = outcome(ingress.receive(car, "car-1", batch(1, 3)));
    await clock.advance(40);
    expect([sending.of(), car.acks]).toEqual(["waiting", []]);
    await clock.advance(20);
    expect(sending.of()).toBe("taken");
    await clock.advance(20);
    expect(car.acks.at(-1)?.watermarks.normal?.sequence).toBe(3);
  });

  it("hands a second batch to the store before the first one is durable", async () => {
    const { clock, store, ingress } = await setUp(50);
    const car = new Connection();
    const both = [1, 4].map((first) => outcome(ingress.receive(car, "car-1", batch(first, 3))));
    await clock.advance(60);
    expect(both.map((one) => one.of())).toEqual(["taken", "taken"]);
    expect((await store.events.bounds("a")).stored).toBe(6);
  });

  it("takes nothing while the store is unavailable, then everything when the agent sends it again", async () => {
    const { clock, store, ingress } = await setUp();
    const car = new Connection();
    store.setFault("disk full");
    const refused = outcome(ingress.receive(car, "car-1", batch(1, 3)));
    await clock.advance(20);
    expect(refused.of()).toBe("STORE_UNAVAILABLE");
    expect(car.acks).toEqual([]);
    store.setFault(undefined);
    ingress.disconnected(car, false);
    const again = new Connection();
    const sent = [
      ingress.receive(again, "car-1", encodeWire(hello)),
      ingress.receive(again, "car-1", batch(1, 3)),
    ].map(outcome);
    await clock.advance(30);
    expect(sent.map((one) => one.of())).toEqual(["taken", "taken"]);
    expect(again.acks.at(-1)?.watermarks.normal?.sequence).toBe(3);
  });

  it("acknowledges late by at most 20 ms, and many batches with few messages", async () => {
    const { clock, ingress } = await setUp(5);
    const car = new Connection();
    for (let at = 0; at < 50; at += 1) outcome(ingress.receive(car, "car-1", batch(at + 1, 1)));
    await clock.advance(5);
    await clock.advance(20);
    expect(car.acks.at(-1)?.watermarks.normal?.sequence).toBe(50);
    expect(car.acks.length).toBeLessThan(5);
  });

  it("asks for one rewind however many batches in flight are refused, and again when that had no effect", async () => {
    const { clock, ingress } = await setUp();
    const car = new Connection();
    const rewinds = (): number => car.acks.filter(({ rewind }) => rewind.length > 0).length;
    for (const first of [10, 20, 30]) {
      outcome(ingress.receive(car, "car-1", batch(first, 5)));
      await clock.advance(50);
    }
    expect(rewinds()).toBe(1);
    await clock.advance(1_500);
    outcome(ingress.receive(car, "car-1", batch(40, 5)));
    await clock.advance(50);
    expect(rewinds()).toBe(2);
  });

  it("refuses a second live connection with another client id as a clone, and tells that one only", async () => {
    const { clock, ingress } = await setUp();
    const [first, second] = [new Connection("car-1"), new Connection("car-1b")];
    outcome(ingress.receive(first, "car-1", encodeWire(hello)));
    await clock.advance(20);
    const clone = outcome(ingress.receive(second, "car-1", encodeWire(hello)));
    await clock.advance(20);
    expect(second.acks.at(-1)?.refused?.code).toBe("MESH-5006");
    expect(clone.of()).toBe("waiting");
    await clock.advance(1_100);
    expect(clone.of()).toBe("AGENT_CLONED");
    expect(first.acks.every(({ refused }) => refused === undefined)).toBe(true);
    ingress.disconnected(first, false);
    const later = outcome(ingress.receive(second, "car-1", encodeWire(hello)));
    await clock.advance(20);
    expect(later.of()).toBe("taken");
  });

  it("answers a hello when the store has decided on what the connection before had brought, with prints of it", async () => {
    const { clock, ingress } = await setUp(50);
    const [before, after] = [new Connection(), new Connection()];
    outcome(ingress.receive(before, "car-1", encodeWire(hello)));
    await clock.advance(5);
    outcome(ingress.receive(before, "car-1", batch(1, 2)));
    await clock.advance(5);
    ingress.disconnected(before, true);
    outcome(ingress.receive(after, "car-1", encodeWire(hello)));
    await clock.advance(20);
    expect(after.acks).toEqual([]);
    await clock.advance(60);
    expect(after.acks[0]?.watermarks.normal?.sequence).toBe(2);
    expect(after.acks[0]?.prints?.normal).toEqual([eventPrint(entry(1)), eventPrint(entry(2))]);
    outcome(ingress.receive(after, "car-1", batch(3, 1)));
    await clock.advance(80);
    expect(after.acks.at(-1)?.watermarks.normal?.sequence).toBe(3);
    expect(after.acks.at(-1)?.prints).toBeUndefined();
  });

  it("takes nothing more from a connection that is gone or was taken over", async () => {
    const { clock, store, ingress } = await setUp();
    const [gone, older, newer] = [new Connection(), new Connection(), new Connection()];
    outcome(ingress.receive(gone, "car-1", encodeWire(hello)));
    await clock.advance(20);
    ingress.disconnected(gone, false);
    for (const one of [older, newer]) {
      outcome(ingress.receive(one, "car-1", encodeWire(hello)));
      await clock.advance(20);
    }
    const late = [gone, older].map((one) => outcome(ingress.receive(one, "car-1", batch(1, 1))));
    await clock.advance(20);
    expect(late.map((one) => one.of())).toEqual(["UNREACHABLE", "UNREACHABLE"]);
    expect((await store.events.bounds("a")).stored).toBe(0);
  });

  it("lets an agent reconnect as often as it must when its connections ended by themselves", async () => {
    const { clock, ingress } = await setUp();
    for (let turn = 0; turn < 20; turn += 1) {
      const car = new Connection();
      const said = outcome(ingress.receive(car, "car-1", encodeWire(hello)));
      await clock.advance(20);
      expect(said.of()).toBe("taken");
      ingress.disconnected(car, false);
    }
  });

  it("answers what it cannot read later each time, and forgets that after a good message", async () => {
    const { clock, ingress } = await setUp();
    const car = new Connection();
    const waits: number[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      const bad = outcome(ingress.receive(car, "car-1", Buffer.from("bad")));
      let waitedMs = 0;
      while (bad.of() === "waiting") {
        await clock.advance(500);
        waitedMs += 500;
      }
      waits.push(waitedMs);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000]);
    outcome(ingress.receive(car, "car-1", encodeWire(hello)));
    await clock.advance(20);
    const bad = outcome(ingress.receive(car, "car-1", Buffer.from("bad")));
    await clock.advance(1_000);
    expect(bad.of()).toBe("WIRE_INVALID");
  });

  it("shares the budget of bytes in flight among the agents that send", async () => {
    const { clock, ingress } = await setUp();
    const car = new Connection();
    outcome(ingress.receive(car, "car-1", batch(1, 1)));
    await clock.advance(50);
    expect(car.acks.at(-1)?.creditBytes).toBe(1_000_000);
  });
});
