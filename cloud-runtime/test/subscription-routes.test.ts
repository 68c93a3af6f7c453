import {
  compileTopicPattern,
  createLogger,
  seededChance,
  systemClock,
  type TopicMatcher,
} from "@fleetmesh/core";
import type { Principal } from "@fleetmesh/door";
import { fastify, type FastifyInstance } from "fastify";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { answerProblems } from "../src/api/problem.ts";
import { Dispatcher } from "../src/delivery/dispatcher.ts";
import { Redrive } from "../src/delivery/redrive.ts";
import { MemoryMetadata } from "../src/metadata/memory-metadata.ts";
import { openMemoryStore } from "../src/store/memory-store.ts";
import { registerDeadLetterRoutes } from "../src/subscription/dead-letter-routes.ts";
import { refreshTokenKeeper } from "../src/subscription/keep-refresh-token.ts";
import { registerSubscriptionRoutes } from "../src/subscription/subscription-routes.ts";
import { SubscriptionService } from "../src/subscription/subscription-service.ts";
import { MemoryTarget } from "../src/target/memory-target.ts";
import { sampleEvent } from "./subscription-samples.ts";

const logger = createLogger({ part: "test", level: "silent" });
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const none: TopicMatcher = () => false;

function principal(subscribe: string, isOperator: boolean): Principal {
  return {
    name: "test",
    mayPublish: none,
    maySubscribe: compileTopicPattern(subscribe),
    isOperator,
    agentId: undefined,
    isRegionLink: false,
    expiresMs: Infinity,
  };
}

describe("/v1/subscriptions", () => {
  let app: FastifyInstance;
  let refusals = 0;
  let metadata: MemoryMetadata;
  let dispatcher: Dispatcher;
  let store: ReturnType<typeof openMemoryStore>;
  let who: Principal;
  let taken: string[];

  async function open(allowPrivateSinks: boolean): Promise<void> {
    [who, taken] = [principal(">", true), []];
    store = openMemoryStore({ region: "r", clock: systemClock });
    await store.events.start();
    await store.deliveries.start();
    metadata = new MemoryMetadata({ autoCreateTopics: true });
    const [clock, chance] = [systemClock, seededChance(1)];
    const target = (): MemoryTarget =>
      new MemoryTarget(({ event }) => {
        taken.push(event.id);
        return { kind: "taken", status: "200" };
      });
    const ports = { store: store.events, deliveries: store.deliveries, metadata, clock, chance };
    dispatcher = new Dispatcher({
      ...ports,
      createTarget: target,
      logger,
      registry: new Registry(),
    });
    await dispatcher.start();
    const service = new SubscriptionService({
      ...ports,
      dispatcher,
      allowPrivateSinks,
      node: "node-1",
    });
    app = fastify();
    answerProblems(app, { logger, onNotPermitted: () => (refusals += 1) });
    const principalOf = (): Principal => who;
    registerSubscriptionRoutes(app, { service, principalOf });
    const redrive = new Redrive({ dispatcher, deliveries: store.deliveries, clock, logger });
    const { deliveries } = store;
    registerDeadLetterRoutes(app, { deliveries, metadata, redrive, principalOf });
  }

  beforeEach(() => open(true));
  afterEach(async () => {
    await app.close();
    await dispatcher.stop(AbortSignal.abort());
  });

  const body = { topic: "vehicle.telemetry", sink: "http://127.0.0.1:9/x", protocol: "HTTP" };
  type Method = "GET" | "POST" | "PUT" | "DELETE";
  async function ask(
    method: Method,
    path: string,
    payload?: object,
  ): Promise<{ status: number; body: Record<string, unknown> }> {
    const answer = await app.inject({
      method,
      url: `/v1/${path}`,
      ...(payload && { payload }),
    });
    const parsed: unknown = answer.body === "" ? {} : answer.json();
    return { status: answer.statusCode, body: parsed as Record<string, unknown> };
  }

  it("makes, shows, changes, pauses, resumes and removes a subscription", async () => {
    const made = await ask("POST", "subscriptions", { ...body, id: "s1" });
    expect(made).toMatchObject({ status: 201, body: { id: "s1", state: "active", revision: 1 } });
    expect((await ask("POST", "subscriptions", { ...body, id: "s1" })).status).toBe(409);
    const changed = await ask("PUT", "subscriptions/s1", {
      ...body,
      filters: [{ exact: { type: "a" } }],
    });
    expect(changed.body).toMatchObject({ revision: 2, filters: [{ exact: { type: "a" } }] });
    expect((await ask("POST", "subscriptions/s1/pause")).body).toMatchObject({ state: "paused" });
    expect((await ask("POST", "subscriptions/s1/resume")).body).toMatchObject({ state: "active" });
    expect((await ask("POST", "subscriptions/s1/test")).body).toMatchObject({ outcome: "taken" });
    expect((await ask("GET", "subscriptions/s1/status")).body).toMatchObject({
      state: "active",
      lag: 0,
      delivered: 0,
      node: "node-1",
    });
    expect((await ask("GET", "subscriptions")).body).toHaveLength(1);
    expect((await ask("DELETE", "subscriptions/s1")).status).toBe(204);
    expect((await ask("GET", "subscriptions/s1")).status).toBe(404);
  });

  it("delivers what is published after the answer and not what was before", async () => {
    const publish = (id: string): Promise<unknown> =>
      store.events.appendDirect({
        topic: body.topic,
        receivedMs: 0,
        events: [sampleEvent({ id })],
      });
    await publish("before");
    await ask("POST", "subscriptions", { ...body, id: "s1" });
    await ask("POST", "subscriptions", { ...body, id: "s2", start: "earliest" });
    // The process dies right after the answer: the start is known all the same.
    expect(await store.deliveries.cursors("s1")).toHaveLength(1);
    await publish("after");
    while (taken.length < 3) await new Promise((resolve) => setImmediate(resolve));
    expect([...taken].sort()).toEqual(["after", "after", "before"]);
  });

  it("refuses what takes other regions where no region is told of groups", async () => {
    for (const [field, given] of [
      ["replicated", { replicated: true }],
      ["start", { start: "continue" }],
    ] as const) {
      const answer = await ask("POST", "subscriptions", { ...body, id: "s1", ...given });
      expect(answer).toMatchObject({ status: 400, body: { code: "MESH-6001" } });
      expect(JSON.stringify(answer.body)).toContain(`${field}: `);
    }
    expect((await ask("GET", "subscriptions/s1")).status).toBe(404);
  });

  it("never tells a secret, and keeps it when what was read is written back", async () => {
    const made = await ask("POST", "subscriptions", {
      ...body,
      id: "s1",
      sinkcredential: { credentialtype: "PLAIN", identifier: "me", secret: "pass-word" },
      protocolsettings: { headers: { "x-api-key": "key-1", "x-plain": "seen" } },
      delivery: { signing: { secret } },
    });
    const shown = await ask("GET", "subscriptions/s1");
    const listed = await ask("GET", "subscriptions");
    for (const text of [made, shown, listed].map((answer) => JSON.stringify(answer.body)))
      for (const hidden of ["pass-word", "key-1", secret]) expect(text).not.toContain(hidden);
    expect(JSON.stringify(shown.body)).toContain("seen");
    const { sinkcredential, protocolsettings, delivery } = shown.body;
    const back = { ...body, sinkcredential, protocolsettings, delivery };
    expect((await ask("PUT", "subscriptions/s1", back)).status).toBe(200);
    const kept = dispatcher.runner("s1");
    expect(kept?.state).toBe("active");
    expect((await ask("PUT", "subscriptions/s1", back)).body["revision"]).toBe(3);
  });

  it("does not show a kept client secret to another token endpoint", async () => {
    const sinkcredential = {
      ...{ credentialtype: "CLIENTCREDENTIALS", tokenendpoint: "https://127.0.0.1:9/token" },
      ...{ clientid: "mesh", clientsecret: "hush-hush" },
    };
    await ask("POST", "subscriptions", { ...body, id: "s1", sinkcredential });
    const shown = (await ask("GET", "subscriptions/s1")).body["sinkcredential"] as object;
    expect(shown).toEqual({ ...sinkcredential, clientsecret: "[redacted]" });
    const back = { ...body, sinkcredential: { ...shown, scope: "a" } };
    expect((await ask("PUT", "subscriptions/s1", back)).status).toBe(200);
    expect(metadata.subscription("s1")?.sinkcredential?.["clientsecret"]).toBe("hush-hush");
    const elsewhere = { ...shown, tokenendpoint: "https://127.0.0.2:9/token" };
    const refused = await ask("PUT", "subscriptions/s1", { ...body, sinkcredential: elsewhere });
    expect(refused).toMatchObject({ status: 400 });
    expect(JSON.stringify(refused.body)).toContain("clientsecret: must be given again");
  });

  it("keeps the successor of a refresh token, and not over one that was given meanwhile", async () => {
    const endpoint = { refreshtokenendpoint: "https://127.0.0.1:9/t" };
    const given = { credentialtype: "REFRESHTOKEN", refreshtoken: "r1", ...endpoint };
    await ask("POST", "subscriptions", { ...body, id: "s1", sinkcredential: given });
    const keep = refreshTokenKeeper(metadata);
    await keep("s1", "r1", "r2");
    expect(metadata.subscription("s1")?.sinkcredential?.["refreshtoken"]).toBe("r2");
    await keep("s1", "r1", "r3");
    await keep("gone", "r1", "r3");
    expect(metadata.subscription("s1")?.sinkcredential?.["refreshtoken"]).toBe("r2");
  });

  it("keeps a subscription off whose secret cannot be opened, until it is given anew", async () => {
    const sinkcredential = { credentialtype: "ACCESSTOKEN", accesstoken: "open-sesame" };
    await ask("POST", "subscriptions", { ...body, id: "s1", sinkcredential });
    const kept = metadata.subscription("s1");
    if (!kept) throw new Error("not kept");
    const sealed = { ...sinkcredential, accesstoken: "$sealed$0123456789ab$AAAA" };
    const locked = { state: "disabled", stateReason: "locked: the key 0123456789ab" } as const;
    await metadata.putSubscription({ ...kept, ...locked, sinkcredential: sealed, revision: 2 });
    const resumed = await ask("POST", "subscriptions/s1/resume");
    expect(resumed).toMatchObject({ status: 400, body: { code: "MESH-6001" } });
    expect(JSON.stringify(resumed.body)).toContain("0123456789ab");
    const { body: shown } = await ask("GET", "subscriptions/s1");
    expect(shown).toMatchObject({ ...locked, sinkcredential: { accesstoken: "[redacted]" } });
    const back = { ...body, sinkcredential: shown["sinkcredential"] };
    const refused = await ask("PUT", "subscriptions/s1", back);
    expect(refused.status).toBe(400);
    expect(JSON.stringify(refused.body)).toContain("give the secret again");
    const again = await ask("PUT", "subscriptions/s1", { ...body, sinkcredential });
    expect(again).toMatchObject({ status: 200, body: { state: "active" } });
    expect(again.body).not.toHaveProperty("stateReason");
  });

  it("lets a new signing secret be put before those that were read", async () => {
    const [fresh, old, older] = [40, 41, 42].map(
      (of) => `whsec_${Buffer.alloc(32, of).toString("base64")}`,
    );
    const signing = { secrets: [old, older] };
    await ask("POST", "subscriptions", { ...body, id: "s1", delivery: { signing } });
    const { delivery } = (await ask("GET", "subscriptions/s1")).body as {
      delivery: { signing: { secrets: string[] } };
    };
    const [shownOld = ""] = delivery.signing.secrets;
    expect(shownOld).toMatch(/^\[redacted [0-9a-f]{8}\]$/);
    const put = (secrets: readonly unknown[]): Promise<{ status: number }> =>
      ask("PUT", "subscriptions/s1", { ...body, delivery: { signing: { secrets } } });
    expect((await put([fresh, shownOld])).status).toBe(200);
    expect(metadata.subscription("s1")?.delivery.signing?.secrets).toEqual([fresh, old]);
    expect((await put([fresh, "[redacted 00000000]"])).status).toBe(400);
  });

  it.each<[string, object, RegExp]>([
    ["an unknown field", { filtres: [] }, /filtres.*did you mean \\"filters\\"/],
    ["a sink that is no URL", { sink: "not a url" }, /sink: must be an http or https URL/],
    ["a sink of another scheme", { sink: "ftp://a.b/c" }, /sink: must be/],
    ["credentials in the URL", { sink: "http://me:pw@a.b/c" }, /sink: must be/],
    ["another protocol", { protocol: "KAFKA" }, /protocol: must be HTTP/],
    ["a bad topic", { topic: "No Topic" }, /topic: must be/],
    ["an unknown dialect", { filters: [{ magic: {} }] }, /exact, prefix, suffix/],
    [
      "a header of the mesh",
      { protocolsettings: { headers: { "Webhook-Id": "1" } } },
      /only the mesh/,
    ],
    [
      "a header that splits",
      { protocolsettings: { headers: { a: "b\r\nc: d" } } },
      /printable ASCII/,
    ],
    ["a short secret", { delivery: { signing: { secret: "whsec_YQ==" } } }, /24 to 64/],
    ["two kinds of secrets", { delivery: { signing: { secret, secrets: [secret] } } }, /either/],
    ["signing with nothing", { delivery: { signing: {} } }, /either secret or secrets/],
    [
      "an API key in a header of the mesh",
      { sinkcredential: { credentialtype: "APIKEY", headername: "Host", apikey: "k" } },
      /only the mesh/,
    ],
    [
      "an API key that splits",
      { sinkcredential: { credentialtype: "APIKEY", headername: "x", apikey: "a\r\nb: c" } },
      /printable ASCII/,
    ],
    [
      "a name with a colon",
      { sinkcredential: { credentialtype: "PLAIN", identifier: "a:b", secret: "x" } },
      /no colon/,
    ],
    [
      "two authorizations",
      {
        sinkcredential: { credentialtype: "ACCESSTOKEN", accesstoken: "t" },
        protocolsettings: { headers: { Authorization: "Bearer u" } },
      },
      /is what sinkcredential sets/,
    ],
    [
      "a certificate without its key",
      { protocolsettings: { tls: { certificate: "x" } } },
      /certificate and privatekey, or neither/,
    ],
    [
      "a certificate that is none",
      { protocolsettings: { tls: { certificate: "x", privatekey: "private-text" } } },
      /must be PEM/,
    ],
    ["a window of nothing", { delivery: { windowMax: 0 } }, /delivery\.windowMax/],
  ])("refuses %s", async (_, over, wanted) => {
    const answer = await ask("POST", "subscriptions", { ...body, ...over });
    expect(answer).toMatchObject({ status: 400, body: { code: "MESH-6001" } });
    expect(JSON.stringify(answer.body)).toMatch(wanted);
  });

  it("refuses private sinks unless they are allowed", async () => {
    await app.close();
    await dispatcher.stop(AbortSignal.abort());
    await open(false);
    for (const sink of [
      "http://127.0.0.1/",
      "http://[::1]/",
      "http://2130706433/",
      "http://localhost/",
    ]) {
      const answer = await ask("POST", "subscriptions", { ...body, sink });
      expect(answer).toMatchObject({ status: 400, body: { code: "MESH-6004" } });
    }
  });

  it("refuses private token endpoints, and credentials in clear text, unless they are allowed", async () => {
    await app.close();
    await dispatcher.stop(AbortSignal.abort());
    await open(false);
    const client = { credentialtype: "CLIENTCREDENTIALS", clientid: "a", clientsecret: "b" };
    const post = (sink: string, tokenendpoint: string): ReturnType<typeof ask> =>
      ask("POST", "subscriptions", { ...body, sink, sinkcredential: { ...client, tokenendpoint } });
    expect(await post("https://1.1.1.1/", "https://169.254.169.254/t")).toMatchObject({
      ...{ status: 400, body: { code: "MESH-6004" } },
    });
    for (const [sink, endpoint] of [
      ["http://1.1.1.1/", "https://1.1.1.1/t"],
      ["https://1.1.1.1/", "http://1.1.1.1/t"],
    ] as const)
      expect(JSON.stringify((await post(sink, endpoint)).body)).toContain("must be https");
    expect((await post("https://1.1.1.1/", "https://1.1.1.1/t")).status).toBe(201);
  });

  it("answers 403 before it tells whether something exists", async () => {
    await ask("POST", "subscriptions", { ...body, id: "s1" });
    who = principal("other.>", true);
    expect((await ask("GET", "subscriptions/s1")).status).toBe(403);
    expect((await ask("GET", "subscriptions/unknown")).status).toBe(403);
    expect((await ask("POST", "subscriptions", body)).status).toBe(403);
    expect((await ask("GET", "subscriptions")).body).toEqual([]);
    who = principal(">", false);
    expect((await ask("DELETE", "subscriptions/s1")).status).toBe(403);
    expect((await ask("DELETE", "subscriptions/unknown")).status).toBe(403);
    expect((await ask("GET", "dead-letters")).status).toBe(403);
    expect(refusals).toBe(6);
  });

  it("does not let a narrow permission subscribe to a wider pattern", async () => {
    who = principal("vehicle.*", true);
    for (const topic of ["vehicle.>", ">", "*.speed", "vehicle.*.speed"])
      expect((await ask("POST", "subscriptions", { ...body, topic })).status).toBe(403);
    expect((await ask("POST", "subscriptions", { ...body, topic: "vehicle.*" })).status).toBe(201);
  });
});
