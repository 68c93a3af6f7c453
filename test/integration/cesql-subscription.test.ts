import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeliverySink, until } from "./delivery-sink.ts";
import { mesh } from "./mesh-cli.ts";
import { eventText, RuntimeHarness } from "./runtime-harness.ts";

const topic = "vehicle.telemetry";
let harness: RuntimeHarness;
let sink: DeliverySink;

beforeAll(async () => {
  harness = await RuntimeHarness.open();
  sink = await new DeliverySink().start();
});

afterAll(async () => {
  await harness.close();
  await sink.stop();
});

async function subscribe(id: string, sql: string): Promise<[number, Record<string, unknown>]> {
  const body = { id, topic, sink: sink.url, protocol: "HTTP", filters: [{ sql }] };
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  const response = await harness.request("/v1/subscriptions", init);
  return [response.status, (await response.json()) as Record<string, unknown>];
}

describe("a subscription with an expression of CESQL", () => {
  it("gets the events for which it is true; errors are counted and shown", async () => {
    const [status] = await subscribe("fast", "type = 'speed' AND INT(level) > 5");
    expect(status).toBe(201);
    const events = [
      eventText("1", { type: "speed", level: "9" }),
      eventText("2", { type: "speed", level: 3 }),
      eventText("3", { type: "speed", level: "high" }),
      eventText("4", { type: "door", level: "9" }),
      eventText("5", { type: "speed", level: 6 }),
    ];
    expect((await harness.publish(topic, ...events)).status).toBe(200);
    await until(() => sink.ids.length === 2);
    expect(sink.ids).toEqual(["1", "5"]);
    const answer = await harness.request("/v1/subscriptions/fast/status");
    expect(await answer.json()).toMatchObject({ delivered: 2, filtered: 3, filterErrors: 1 });
    const metrics = await (await harness.request("/metrics")).text();
    expect(metrics).toMatch(/fleetmesh_filter_errors_total\{subscription="fast".*\} 1\n/);
    expect(metrics).toMatch(/fleetmesh_events_filtered_total\{.*subscription="fast".*\} 3\n/);
  });

  it("can be made from the command line", async () => {
    const sql = "type IN ('speed', 'door') AND NOT (level = 5)";
    const where = ["--url", harness.url, "--token", await harness.token(), "--json"];
    const sent = [
      "subscribe",
      topic,
      "--sink",
      sink.url,
      "--id",
      "typed",
      "--filter",
      sql,
      ...where,
    ];
    const { code, stdout, stderr } = await mesh(sent);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ id: "typed", filters: [{ sql }] });
  });

  it("is refused with the place when it is none", async () => {
    const [status, problem] = await subscribe("wrong", "type = 'speed' AND LENGHT(type) > 5");
    expect(status).toBe(400);
    expect(problem).toMatchObject({
      code: "MESH-6001",
      path: "filters[0].sql",
      line: 1,
      column: 20,
      detail: "filters[0].sql, column 20: there is no function LENGHT; did you mean LENGTH?",
    });
  });
});
