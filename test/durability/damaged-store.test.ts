import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DeliverySink, until } from "../integration/delivery-sink.ts";
import { eventText, RuntimeHarness } from "../integration/runtime-harness.ts";
import type { RegionLedger } from "./ledger-check.ts";

const topic = "vehicle.camera";
const pageBytes = 8_192;
/** One event of a block of three fills whole pages of the file with one letter. */
const eventBytes = 60_000;

interface DamagedLedger extends RegionLedger {
  readonly subscriptions: readonly (RegionLedger["subscriptions"][number] & {
    readonly matchable: number;
    readonly delivered: number;
    readonly damaged: number;
  })[];
}

describe("a region whose store was damaged while it stood still", () => {
  let region: RuntimeHarness;
  let sink: DeliverySink;
  let isSinkUp: boolean;
  beforeEach(async () => {
    isSinkUp = false;
    sink = await new DeliverySink((_, response) =>
      response.writeHead(isSinkUp ? 200 : 503).end(),
    ).start();
    region = await RuntimeHarness.open();
  });
  afterEach(async () => {
    await region.close();
    await sink.stop();
  });

  /** A batch is a block of its own: three events whose data are a letter of their own, over and over. */
  const publish = async (letter: string): Promise<void> => {
    const texts = [1, 2, 3].map((at) =>
      eventText(`${letter}${at}`, { data: letter.repeat(eventBytes) }),
    );
    expect((await region.publish(topic, ...texts)).status).toBe(200);
  };
  const subscribe = async (id: string): Promise<void> => {
    const backoff = { initialMs: 100, maxMs: 1_000 };
    const response = await region.request("/v1/subscriptions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        ...{ id, topic, protocol: "HTTP", sink: sink.url, start: "earliest" },
        delivery: { backoff, maxAttempts: 200 },
      }),
    });
    expect(response.status).toBe(201);
  };
  const ledger = async (): Promise<DamagedLedger> =>
    (await (await region.request("/v1/ledger")).json()) as DamagedLedger;
  const books = async () =>
    Object.fromEntries((await ledger()).subscriptions.map((one) => [one.id, one]));
  const topicCounts = async () => (await ledger()).topics.find((one) => one.topic === topic);

  /** The pages of the file that hold nothing but one letter, behind the four bytes that lead to the next page. */
  const pagesOf = (letter: string): number[] => {
    const bytes = readFileSync(join(region.dir, "store", "store.db"));
    const found: number[] = [];
    for (let at = 0; at < bytes.length; at += pageBytes) {
      const page = bytes.subarray(at + 4, at + pageBytes);
      if (page.every((byte) => byte === letter.charCodeAt(0))) found.push(at);
    }
    return found;
  };
  const write = async (at: number, bytes: Buffer): Promise<void> => {
    const file = await open(join(region.dir, "store", "store.db"), "r+");
    await file.write(bytes, 0, bytes.length, at);
    await file.close();
  };

  it.each([
    ["the bytes of an event", 4_000],
    ["the chain of pages that SQLite follows", 0],
  ])("counts what %s had held, once, and delivers all around it", async (_, offset) => {
    await subscribe("behind");
    for (const letter of ["a", "b", "c"]) await publish(letter);
    await until(() => sink.ids.includes("a1"));
    await region.stop();
    const pages = pagesOf("b");
    await write((pages[2] ?? 0) + offset, Buffer.alloc(4, 0xff));

    await region.start();
    isSinkUp = true;
    await until(async () => (await books())["behind"]?.pending === 0);
    expect(new Set(sink.ids)).toEqual(new Set(["a1", "a2", "a3", "c1", "c2", "c3"]));
    const settled = { matchable: 9, delivered: 6, damaged: 3, pending: 0, difference: 0 };
    expect((await books())["behind"]).toMatchObject(settled);
    const counts = { stored: 9, readable: 6, damaged: 3, trimmed: 0, difference: 0 };
    expect(await topicCounts()).toMatchObject(counts);

    // Others who read there, a restart, and a search change nothing.
    await subscribe("later");
    await until(async () => (await books())["later"]?.pending === 0);
    expect((await books())["later"]).toMatchObject(settled);
    expect(await region.ids(topic)).toEqual(["a1", "a2", "a3", "c1", "c2", "c3"]);
    expect((await region.request("/v1/events/%2Ftest/c2/trace")).status).toBe(200);
    await region.stop();
    await region.start();
    await publish("d");
    await until(async () => (await books())["behind"]?.pending === 0);
    expect((await books())["behind"]).toMatchObject({ ...settled, matchable: 12, delivered: 9 });
    expect(await topicCounts()).toMatchObject({ ...counts, stored: 12, readable: 9 });
    expect((await ledger()).difference).toBe(0);
    const metrics = await (await fetch(`${region.url}/metrics`)).text();
    expect(metrics).toMatch(
      new RegExp(`^fleetmesh_events_damaged_total\\{.*topic="${topic}".*\\} 3$`, "m"),
    );
  });
});
