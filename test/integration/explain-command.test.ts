import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeliverySink, until } from "./delivery-sink.ts";
import { mesh, type Ran } from "./mesh-cli.ts";
import { eventText, RuntimeHarness } from "./runtime-harness.ts";

const topic = "vehicle.telemetry";
let harness: RuntimeHarness;
let sink: DeliverySink;

beforeAll(async () => {
  harness = await RuntimeHarness.open();
  sink = await new DeliverySink().start();
  const filters = [{ pattern: { data: { speed: [{ numeric: [">", 100] }] } } }];
  const body = JSON.stringify({ id: "fast", topic, sink: sink.url, filters });
  const headers = { "content-type": "application/json" };
  const made = await harness.request("/v1/subscriptions", { method: "POST", headers, body });
  expect(made.status).toBe(201);
  await harness.publish(
    topic,
    eventText("slow1", { data: { speed: 42 } }),
    eventText("fast1", { data: { speed: 142 } }),
  );
  await until(() => sink.ids.length === 1);
});

afterAll(async () => {
  await harness.close();
  await sink.stop();
});

async function user(args: readonly string[], input = ""): Promise<Ran> {
  const env = { MESH_URL: harness.url, MESH_TOKEN: await harness.token() };
  return mesh(args, { cwd: harness.dir, env, input });
}

describe("mesh subscription test", () => {
  it("sends a test event to the sink when no events are named", async () => {
    const ran = await user(["subscription", "test", "fast"]);
    expect(ran).toMatchObject({ code: 0 });
    expect(sink.received).toHaveLength(2);
  });

  it("tries the filters on the last stored events", async () => {
    const { code, stdout, stderr } = await user(["sub", "test", "fast", "--last", "5"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/slow1 +t +vehicle\.telemetry +no +filters\[0\]: data\.speed is 42; /);
    expect(stdout).toMatch(/fast1 +t +vehicle\.telemetry +yes +-/);
    expect(stderr).toMatch(/1 of 2 would be delivered/);
    expect(sink.received).toHaveLength(2);
  });

  it("tries the filters on events of a file or of standard input", async () => {
    const file = join(harness.dir, "event.json");
    await writeFile(file, eventText("given", { data: { speed: 101 } }));
    const args = ["subscription", "test", "fast", "--event"];
    expect((await user([...args, file, "-o", "json"])).stdout).toMatch(/"matched": true/);
    const lines = `${eventText("a")}\n${eventText("b", { data: { speed: 200 } })}\n`;
    const { stdout } = await user([...args, "-", "-o", "jsonl"], lines);
    const told = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { matched: boolean });
    expect(told.map(({ matched }) => matched)).toEqual([false, true]);
    expect(await user([...args, "-"], "{")).toMatchObject({ code: 2 });
    expect(await user([...args, "missing.json"])).toMatchObject({ code: 2 });
    expect(await user([...args, file, "--last", "5"])).toMatchObject({ code: 2 });
    expect(await user(["subscription", "test", "nobody", "--last", "5"])).toMatchObject({
      code: 5,
    });
  });
});

describe("mesh explain", () => {
  it("says what became of an event, and why", async () => {
    const slow = await user(["explain", "fast", "slow1"]);
    expect(slow.code).toBe(0);
    expect(slow.stdout).toMatch(/^slow1 of \/test, t, stored in vehicle\.telemetry at .*Z\n/);
    expect(slow.stdout).toMatch(
      /\n {2}filtered\n {2}because: \{"pattern".*\n {2}data\.speed is 42;/,
    );
    expect(slow.stdout).toMatch(/today's filters do not take it: filters\[0\]: data\.speed is 42;/);
    await expect
      .poll(async () => (await user(["explain", "fast", "fast1"])).stdout, { timeout: 20_000 })
      .toMatch(/\n {2}delivered, 1 attempt, at .*Z\n {2}today's filters take it\n$/);
  });

  it("prints what the region says as JSON", async () => {
    const ran = await user(["explain", "fast", "fast1", "--source", "/test", "-o", "json"]);
    expect(JSON.parse(ran.stdout)).toMatchObject({
      subscription: "fast",
      events: [{ event: { id: "fast1" }, rule: { matched: true } }],
    });
    expect(await user(["explain", "fast", "nobody-knows"])).toMatchObject({ code: 5, stdout: "" });
  });
});
