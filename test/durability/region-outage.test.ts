import { readFile, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "mqtt";
import { parse, stringify } from "yaml";
import { ledgerFaults, readLedgers, storedOf } from "./ledger-check.ts";
import { MeshProcesses, pause } from "./mesh-processes.ts";
import { storedIds } from "./storm-audit.ts";

const mebibyte = 1024 * 1024;
const bufferBytesMax = 16 * mebibyte;
// Half as much again as the quota. Random text, so that neither the buffer nor the uplink can make it small.
const eventCount = 1_600;
const textBytes = 16 * 1024;
const batchCount = 8;
const topic = "outage.topic";

let mesh: MeshProcesses;
beforeEach(async () => {
  mesh = await MeshProcesses.create();
});
afterEach(() => mesh.close());

async function limitBuffer(whenFull: "evict-lowest-class" | "reject"): Promise<void> {
  const file = mesh.configFile("edge-1");
  const config = parse(await readFile(file, "utf8")) as object;
  const buffer = { bytesMax: bufferBytesMax, whenFull };
  await writeFile(file, stringify({ ...config, buffer }));
}

function eventOf(n: number): object {
  return {
    ...{ specversion: "1.0", id: `outage-${n}`, source: "urn:outage", type: "t" },
    partitionkey: "outage",
    data: { key: "outage", n, text: randomText() },
  };
}

/** Publishes one event as a device would, and waits for the PUBACK or for the end of the connection without one. */
async function publishByMqtt(n: number): Promise<"taken" | "refused"> {
  const client = connect(`mqtt://127.0.0.1:${mesh.port(21)}`, {
    ...{ username: "device", password: mesh.token, clientId: `device-${n}`, reconnectPeriod: 0 },
  });
  try {
    return await new Promise((resolve, reject) => {
      client.once("close", () => resolve("refused"));
      client.once("error", reject);
      client.publish(`events/${topic}`, JSON.stringify(eventOf(n)), { qos: 1 }, (error) => {
        if (!error) resolve("taken");
      });
    });
  } finally {
    await client.endAsync(true);
  }
}

/** Status and body of a batch of events `key-first` and on. */
async function publish(first: number): Promise<{ status: number; text: string }> {
  const events = Array.from({ length: batchCount }, (_, index) => eventOf(first + index));
  const response = await fetch(`http://127.0.0.1:${mesh.port(20)}/v1/topics/${topic}/events`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${mesh.token}`,
      "content-type": "application/cloudevents-batch+json",
    },
    body: JSON.stringify(events),
  });
  return { status: response.status, text: await response.text() };
}

function randomText(): string {
  const bytes = Buffer.alloc((textBytes * 3) / 4);
  for (let at = 0; at + 4 <= bytes.length; at += 4)
    bytes.writeUInt32LE(Math.floor(Math.random() * 2 ** 32), at);
  return bytes.toString("base64");
}

/** At rest; the test's own time-out is the bound. */
async function drained(): Promise<void> {
  for (;;) {
    const { edge, east } = await readLedgers(mesh);
    const handled = edge.stored + edge.evicted + edge.expired + edge.rejected + edge.lost;
    if (edge.queued === 0 && handled === edge.produced && storedOf(east, topic) === edge.stored)
      return;
    await pause(200);
  }
}

const numbersOf = (ids: readonly string[]): number[] =>
  ids.map((id) => Number(id.replace("outage-", "")));

describe("an outage of the region that is longer than the edge's quota", () => {
  it("evicts the oldest, says so in both ledgers, and delivers the rest in order", async () => {
    await limitBuffer("evict-lowest-class");
    await mesh.start();
    await mesh.process("cn-east").kill();
    for (let first = 1; first <= eventCount; first += batchCount)
      expect(await publish(first)).toEqual({ status: 200, text: `{"accepted":${batchCount}}` });
    await mesh.process("edge-1").kill();
    await mesh.process("edge-1").start();
    await mesh.process("cn-east").start();
    await drained();
    const ledgers = await readLedgers(mesh);
    const { edge, east } = ledgers;
    expect(edge).toMatchObject({ produced: eventCount, expired: 0, rejected: 0, lost: 0 });
    expect(edge.evicted).toBeGreaterThan(0);
    expect(east.gaps).toEqual({ evicted: edge.evicted, expired: 0, damaged: 0 });
    expect(ledgerFaults(ledgers)).toEqual([]);
    const kept = numbersOf(await storedIds(mesh, 1, topic));
    const oldest = edge.evicted + 1;
    expect(kept).toEqual(Array.from({ length: eventCount - edge.evicted }, (_, at) => oldest + at));
  });

  it("refuses what has no room, and delivers all that it took and nothing else", async () => {
    await limitBuffer("reject");
    await mesh.start();
    await mesh.process("cn-east").kill();
    const taken: number[] = [];
    let next = 1;
    const takeBatch = async (): Promise<number> => {
      const { status, text } = await publish(next);
      if (status === 200) taken.push(...Array.from({ length: batchCount }, (_, at) => next + at));
      else expect({ status, code: codeOf(text) }).toEqual({ status: 503, code: "MESH-4001" });
      return status;
    };
    for (; next <= eventCount && (await takeBatch()) === 200; next += batchCount);
    expect(taken.length).toBeGreaterThan(eventCount / 4);
    expect(taken.length).toBeLessThan(eventCount);
    // The rest of the room goes to single events, then there is none for them either.
    next += batchCount;
    const end = next + 100;
    for (; next < end && (await publishByMqtt(next)) === "taken"; next += 1) taken.push(next);
    expect(await publishByMqtt(next)).toBe("refused");
    await mesh.process("edge-1").kill();
    await mesh.process("edge-1").start();
    expect(await publishByMqtt(next)).toBe("refused");

    await mesh.process("cn-east").start();
    // What was refused is taken when there is room again, as a publisher would send it again.
    while ((await takeBatch()) !== 200) await pause(100);
    await drained();
    const ledgers = await readLedgers(mesh);
    const nothing = { evicted: 0, expired: 0, rejected: 0, lost: 0 };
    expect(ledgers.edge).toMatchObject({
      produced: taken.length,
      stored: taken.length,
      ...nothing,
    });
    expect(ledgerFaults(ledgers)).toEqual([]);
    expect(numbersOf(await storedIds(mesh, 1, topic))).toEqual(taken);
  });
});

function codeOf(problem: string): unknown {
  return (JSON.parse(problem) as { code: unknown }).code;
}
