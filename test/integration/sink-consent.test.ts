import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { RuntimeConfigInput } from "@fleetmesh/cloud-runtime";
import { until } from "./delivery-sink.ts";
import { eventText, RuntimeHarness } from "./runtime-harness.ts";

/** A sink that protects itself as the CloudEvents webhook spec has it. */
class GuardedSink {
  readonly asked: IncomingMessage["headers"][] = [];
  readonly pushed: IncomingMessage["headers"][] = [];
  consent: Readonly<Record<string, string>> = {};
  url = "";
  readonly #server = createServer((request, response) => this.#serve(request, response));

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/in`;
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const isQuestion = request.method === "OPTIONS";
    (isQuestion ? this.asked : this.pushed).push(request.headers);
    request.resume().on("end", () => response.writeHead(200, isQuestion ? this.consent : {}).end());
  }
}

let region: RuntimeHarness;
let sink: GuardedSink;
afterEach(async () => {
  await region.close();
  await sink.stop();
});

async function open(webhooks: RuntimeConfigInput["webhooks"] = {}): Promise<void> {
  sink = await new GuardedSink().start();
  region = await RuntimeHarness.open({ webhooks });
}

const json = { "content-type": "application/json" };
interface Shown {
  readonly state: string;
  readonly stateReason?: string;
  readonly consent?: object;
}

async function call(method: string, path: string, body?: object): Promise<Shown> {
  const init = body && { headers: json, body: JSON.stringify(body) };
  const response = await region.request(`/v1/subscriptions${path}`, { method, ...init });
  return (await response.json()) as Shown;
}

const wanted = (over: object = {}): object => ({
  ...{ id: "s1", topic: "a.b", sink: sink.url, protocolsettings: { validation: {} } },
  ...over,
});
const stateIs = (state: string): Promise<void> =>
  until(async () => (await call("GET", "/s1")).state === state);

describe("a sink that is asked for its consent", () => {
  it("gets no event before it has consented, and then all since the subscription", async () => {
    await open({ origin: "mesh.example" });
    expect(await call("POST", "", wanted())).toMatchObject({ state: "pending" });
    await region.publish("a.b", eventText("1"));
    await until(async () =>
      /without WebHook-Allowed/.test((await call("GET", "/s1")).stateReason ?? ""),
    );
    expect(sink.asked[0]).toMatchObject({ "webhook-request-origin": "mesh.example" });
    expect(sink.asked[0]).not.toHaveProperty("webhook-request-callback");
    const test = await region.request("/v1/subscriptions/s1/test", { method: "POST" });
    expect(test.status).toBe(400);
    expect(sink.pushed).toHaveLength(0);
    sink.consent = { "WebHook-Allowed-Origin": "mesh.example" };
    // Resuming asks at once.
    await call("POST", "/s1/resume");
    await stateIs("active");
    await until(() => sink.pushed.length === 1);
    expect(sink.pushed[0]).toMatchObject({ "webhook-request-origin": "mesh.example" });
  });

  it("does not consent by a status, nor for another origin", async () => {
    await open({ origin: "mesh.example" });
    sink.consent = { "WebHook-Allowed-Origin": "other.example" };
    await call("POST", "", wanted());
    await until(async () => /another origin/.test((await call("GET", "/s1")).stateReason ?? ""));
    expect((await call("GET", "/s1")).state).toBe("pending");
    sink.consent = { "WebHook-Allowed-Origin": "*" };
    await call("POST", "/s1/pause");
    expect((await call("POST", "/s1/resume")).state).toBe("pending");
    await stateIs("active");
  });

  it("sets the rate of the pushes", async () => {
    await open();
    sink.consent = { "WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "1" };
    const validation = { ratePerMinute: 6000 };
    await call("POST", "", wanted({ protocolsettings: { validation } }));
    await stateIs("active");
    expect(sink.asked[0]).toMatchObject({
      "webhook-request-origin": "cn-east.fleetmesh",
      "webhook-request-rate": "6000",
    });
    expect((await call("GET", "/s1")).consent).toMatchObject({ ratePerMinute: 1 });
    await region.publish("a.b", eventText("1"), eventText("2"), eventText("3"));
    await until(() => sink.pushed.length === 1);
    // The next one is due in a minute.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(sink.pushed).toHaveLength(1);
  });

  it("may consent later, by the callback that it was sent, also after a restart, and once", async () => {
    await open({ callbackUrl: "https://mesh.example/east/" });
    await call("POST", "", wanted());
    await until(() => sink.asked.length === 1);
    const callback = new URL(String(sink.asked[0]?.["webhook-request-callback"]));
    expect(callback.origin + callback.pathname).toBe(
      "https://mesh.example/east/v1/webhook-consents/s1",
    );
    const answers = JSON.stringify([await call("GET", "/s1"), await call("GET", "")]);
    expect(answers).not.toContain(callback.searchParams.get("key"));
    await region.stop();
    await region.start();
    const at = (key: string | null, id = "s1"): string =>
      `${region.url}/v1/webhook-consents/${id}?key=${key ?? ""}`;
    const right = callback.searchParams.get("key");
    for (const wrong of [at(""), at("x"), at(right, "s2")])
      expect((await fetch(wrong)).status).toBe(404);
    expect((await call("GET", "/s1")).state).toBe("pending");
    const said = { method: "POST", headers: { "webhook-allowed-rate": "120" } };
    expect((await fetch(at(right), said)).status).toBe(204);
    expect(await call("GET", "/s1")).toMatchObject({
      ...{ state: "active", consent: { ratePerMinute: 120 } },
    });
    expect((await fetch(at(right), said)).status).toBe(404);
    await region.publish("a.b", eventText("1"));
    await until(() => sink.pushed.length === 1);
  });

  it("is asked anew when it is another one, and not when it stays the same", async () => {
    await open();
    sink.consent = { "WebHook-Allowed-Origin": "*" };
    await call("POST", "", wanted());
    await stateIs("active");
    const shown = await call("GET", "/s1");
    expect((await call("PUT", "/s1", shown)).state).toBe("active");
    expect(sink.asked).toHaveLength(1);
    expect((await call("PUT", "/s1", wanted({ sink: `${sink.url}/new` }))).state).toBe("pending");
    await stateIs("active");
    expect(sink.asked).toHaveLength(2);
    sink.consent = {};
    await call("PUT", "/s1", wanted({ sink: `${sink.url}/third` }));
    const plain = wanted({ sink: `${sink.url}/third`, protocolsettings: {} });
    expect((await call("PUT", "/s1", plain)).state).toBe("active");
  });

  it("is asked only where that is wanted", async () => {
    await open();
    expect(await call("POST", "", wanted({ protocolsettings: {} }))).toMatchObject({
      state: "active",
    });
    await region.publish("a.b", eventText("1"));
    await until(() => sink.pushed.length === 1);
    expect(sink.asked).toHaveLength(0);
    expect(sink.pushed[0]).not.toHaveProperty("webhook-request-origin");
  });
});
