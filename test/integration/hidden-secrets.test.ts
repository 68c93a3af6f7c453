import { createLogger, systemChance, systemClock } from "@fleetmesh/core";
import { createRuntime, runtimeConfigSchema, type Runtime } from "@fleetmesh/cloud-runtime";
import { createSigningKey, issueToken } from "@fleetmesh/door";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DeliverySink, until } from "./delivery-sink.ts";
import { allowAll, eventText } from "./runtime-harness.ts";
import { TokenEndpoint } from "./token-endpoint.ts";

const hidden = {
  signing: `whsec_${Buffer.alloc(32, 7).toString("base64")}`,
  oldSigning: `whsec_${Buffer.alloc(32, 9).toString("base64")}`,
  header: "header-secret-4711",
  password: "pass-word-4711",
  accessToken: "access-token-4711",
  client: "client-secret-4711",
  refresh: "refresh-token-4711",
  apiKey: "api-key-4711",
};

let folder: string;
let runtime: Runtime;
let token: string;
let tokens: TokenEndpoint;
let sink: DeliverySink;
let logged: string;

async function open(): Promise<void> {
  const key = await createSigningKey("test");
  token = await issueToken(key, { sub: "tester", jti: "1", mesh: allowAll });
  const config = runtimeConfigSchema.parse({
    ...{ region: "cn-east", dataDir: folder, http: { port: 0 }, mqtt: { port: 0 } },
    ...{ auth: { jwks: { keys: [key.publicKey] } }, autoCreateTopics: true },
    ...{ allowPrivateSinks: true, processMetrics: false },
  });
  const write = (text: string): number => (logged += text).length;
  const logger = createLogger({ part: "test", level: "trace" }, { write });
  runtime = await createRuntime(config, { clock: systemClock, chance: systemChance, logger });
  await runtime.start();
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetmesh-hidden-"));
  logged = "";
  [tokens, sink] = [await new TokenEndpoint().start(), await new DeliverySink().start()];
  await open();
});
afterEach(async () => {
  await runtime.stop(AbortSignal.timeout(5_000));
  await Promise.all([sink.stop(), tokens.stop()]);
  await rm(folder, { recursive: true, force: true });
});

async function ask(method: string, path: string, body?: object): Promise<string> {
  const headers = {
    authorization: `Bearer ${token}`,
    ...(body && { "content-type": "application/json" }),
  };
  const init = { method, headers, ...(body && { body: JSON.stringify(body) }) };
  return (await fetch(`http://127.0.0.1:${runtime.httpPort}${path}`, init)).text();
}

/** One subscription with each kind of credential, all of them signed and with a secret header. */
const credentials = (): Readonly<Record<string, object>> => ({
  plain: { credentialtype: "PLAIN", identifier: "me", secret: hidden.password },
  access: { credentialtype: "ACCESSTOKEN", accesstoken: hidden.accessToken },
  client: {
    ...{ credentialtype: "CLIENTCREDENTIALS", tokenendpoint: tokens.url },
    ...{ clientid: "mesh", clientsecret: hidden.client },
  },
  refresh: {
    ...{ credentialtype: "REFRESHTOKEN", refreshtokenendpoint: tokens.url },
    refreshtoken: hidden.refresh,
  },
  key: { credentialtype: "APIKEY", headername: "x-key", apikey: hidden.apiKey },
});

async function everyFile(): Promise<string> {
  const names = await readdir(folder, { recursive: true });
  const paths = names.map((name) => join(folder, name));
  const files = await Promise.all(
    paths.map(async (path) => ((await stat(path)).isFile() ? readFile(path, "latin1") : "")),
  );
  return files.join("\n");
}

describe("the secrets of subscriptions", () => {
  it("are in no answer, log, metric, dead letter, trace or file, whatever sinks and endpoints repeat", async () => {
    const answers: string[] = [];
    // Whoever is sent something sends it back.
    sink.answer = ({ headers }, response) => response.writeHead(400).end(JSON.stringify(headers));
    for (const [id, sinkcredential] of Object.entries(credentials())) {
      const body = {
        ...{ id, topic: "a.b", sink: sink.url, sinkcredential },
        protocolsettings: { headers: { "x-auth": hidden.header } },
        delivery: { maxAttempts: 2, signing: { secrets: [hidden.signing, hidden.oldSigning] } },
      };
      answers.push(await ask("POST", "/v1/subscriptions", body));
      const path = `/v1/subscriptions/${id}`;
      answers.push(
        await ask("PUT", path, { ...body, sinkcredential: { ...sinkcredential, no: 1 } }),
      );
      answers.push(await ask("POST", path, body), await ask("POST", "/v1/subscriptions", body));
      for (const step of ["pause", "resume", "test"])
        answers.push(await ask("POST", `${path}/${step}`));
      answers.push(await ask("GET", path));
    }
    const refuse = { error: "invalid", error_description: hidden.client };
    tokens.answer = (request, response) =>
      response.writeHead(400).end(JSON.stringify({ ...refuse, request }));
    const late = { ...credentials()["client"], clientid: "other" };
    const body = { id: "late", topic: "a.b", sink: sink.url, sinkcredential: late };
    await ask("POST", "/v1/subscriptions", { ...body, delivery: { maxAttempts: 1 } });
    const event = eventText("1", { datacontenttype: "application/json" });
    const headers = {
      authorization: `Bearer ${token}`,
      "content-type": "application/cloudevents+json",
    };
    const events = `http://127.0.0.1:${runtime.httpPort}/v1/topics/a.b/events`;
    expect((await fetch(events, { method: "POST", headers, body: event })).status).toBe(200);
    const letters = (): Promise<string> => ask("GET", "/v1/dead-letters");
    await vi.waitFor(
      async () => expect((await letters()).split('"attempts"').length).toBe(7),
      20_000,
    );
    answers.push(await letters(), await ask("GET", "/v1/dead-letters/groups"));
    answers.push(await ask("GET", `/v1/events/${encodeURIComponent("/test")}/1/trace`));
    answers.push(await ask("GET", "/v1/subscriptions"), await ask("GET", "/v1/ledger"));
    answers.push(await ask("GET", "/metrics"));
    for (const id of [...Object.keys(credentials()), "late"])
      answers.push(await ask("GET", `/v1/subscriptions/${id}/status`));
    await until(() => sink.received.length >= 5);
    await runtime.stop(AbortSignal.timeout(5_000));
    const told = { answers: answers.join("\n"), logged, files: await everyFile() };
    expect(told.answers).toContain("[redacted]");
    const basic = Buffer.from(`me:${hidden.password}`).toString("base64");
    for (const [where, text] of Object.entries(told))
      for (const secret of [...Object.values(hidden), "token-1", basic])
        expect(text.includes(secret), `${secret} in ${where}`).toBe(false);
  });
});
