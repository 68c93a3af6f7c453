import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { seededChance, systemClock } from "@fleetmesh/core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Subscription } from "../../cloud-runtime/src/metadata/metadata.ts";
import type { Resolve } from "../../cloud-runtime/src/target/address-guard.ts";
import { HttpTarget, type HttpTargetOptions } from "../../cloud-runtime/src/target/http-target.ts";
import type { DeliveryOutcome } from "../../cloud-runtime/src/target/target.ts";
import { sampleEvent, sampleSubscription } from "../../cloud-runtime/test/subscription-samples.ts";
import { DeliverySink } from "./delivery-sink.ts";
import { TokenEndpoint } from "./token-endpoint.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function sinkThat(answer?: DeliverySink["answer"]): Promise<DeliverySink> {
  const sink = await new DeliverySink(answer).start();
  closers.push(() => sink.stop());
  return sink;
}

async function endpoint(): Promise<TokenEndpoint> {
  const made = await new TokenEndpoint().start();
  closers.push(() => made.stop());
  return made;
}

function targetOf(
  over: Partial<Subscription>,
  options: Partial<HttpTargetOptions> = {},
): HttpTarget {
  const ports = { clock: systemClock, chance: seededChance(1), allowPrivateSinks: true };
  const target = new HttpTarget(sampleSubscription(over), { ...ports, ...options });
  closers.push(() => target.stop());
  return target;
}

function push(target: HttpTarget, timeoutMs = 5_000): Promise<DeliveryOutcome> {
  const at = { topic: "a", subscription: "s1", timeoutMs, isRedriven: false };
  return new Promise((settle) =>
    target.deliver({ ...at, event: sampleEvent({ id: "1" }), settle }),
  );
}

const clientOf = (tokenendpoint: string): Record<string, string> => ({
  credentialtype: "CLIENTCREDENTIALS",
  tokenendpoint,
  clientid: "mesh",
  clientsecret: "hush-hush-client",
});

describe("credentials towards a sink", () => {
  it.each<[Record<string, string>, string, string]>([
    [
      { credentialtype: "PLAIN", identifier: "me", secret: "pass:é" },
      "authorization",
      `Basic ${Buffer.from("me:pass:é").toString("base64")}`,
    ],
    [{ credentialtype: "ACCESSTOKEN", accesstoken: "abc" }, "authorization", "Bearer abc"],
    [{ credentialtype: "APIKEY", headername: "X-Api-Key", apikey: "k 1" }, "x-api-key", "k 1"],
  ])("are sent as %j", async (sinkcredential, header, value) => {
    const sink = await sinkThat();
    const target = targetOf({ sink: sink.url, sinkcredential });
    expect((await push(target)).kind).toBe("taken");
    expect(sink.received[0]?.headers[header]).toBe(value);
  });

  it("cannot break out of their header", () => {
    const split = { credentialtype: "APIKEY", headername: "x-key", apikey: "a\r\nb: c" };
    expect(() => targetOf({ sinkcredential: split })).toThrow(/cannot be sent/);
    expect(() => targetOf({ sinkcredential: { ...split, headername: "a: b\r\nc" } })).toThrow(
      /cannot be sent/,
    );
  });

  it("are one fetched token for many deliveries", async () => {
    const [sink, tokens] = [await sinkThat(), await endpoint()];
    const target = targetOf({ sink: sink.url, sinkcredential: clientOf(tokens.url) });
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => push(target)));
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(["taken"]));
    expect(tokens.requests).toHaveLength(1);
    const sent = new Set(sink.received.map(({ headers }) => headers.authorization));
    expect(sent).toEqual(new Set(["Bearer token-1"]));
  });

  it("are fetched once more when the sink refuses the token, and then it is over", async () => {
    const tokens = await endpoint();
    const sink = await sinkThat(({ headers }, response) =>
      response.writeHead(headers.authorization === "Bearer token-1" ? 200 : 401).end(),
    );
    const old = { accesstoken: "revoked", refreshtoken: "r", refreshtokenendpoint: tokens.url };
    const sinkcredential = { credentialtype: "REFRESHTOKEN", ...old };
    const target = targetOf({ sink: sink.url, sinkcredential });
    expect((await push(target)).kind).toBe("taken");
    expect(sink.received.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer revoked",
      "Bearer token-1",
    ]);
    sink.answer = (_, response) => response.writeHead(401).end("no");
    expect(await push(target)).toMatchObject({ kind: "refused", status: "401" });
    expect(await push(target)).toMatchObject({ kind: "refused", status: "401" });
    expect(tokens.requests).toHaveLength(1);
  });

  it("that cannot be fetched are a passing failure, in time, and without words of the secret", async () => {
    const [sink, tokens] = [await sinkThat(), await endpoint()];
    tokens.answer = (request, response) => response.writeHead(400).end(request);
    const target = targetOf({ sink: sink.url, sinkcredential: clientOf(tokens.url) });
    const outcome = await push(target);
    expect(outcome).toMatchObject({ kind: "failed", status: "token" });
    expect(JSON.stringify(outcome)).not.toContain("hush-hush");
    tokens.answer = () => undefined;
    const patient = targetOf({ id: "s2", sink: sink.url, sinkcredential: clientOf(tokens.url) });
    expect(await push(patient, 200)).toMatchObject({ kind: "failed", status: "timeout" });
    const stopped = push(patient);
    await patient.stop();
    expect((await stopped).kind).toBe("aborted");
    expect(sink.received).toHaveLength(0);
  });

  it("are not fetched from a private address", async () => {
    const [sink, tokens] = [await sinkThat(), await endpoint()];
    const { port } = new URL(tokens.url);
    const resolve: Resolve = (name, _, callback) =>
      callback(null, [{ address: name === "sink.example" ? "127.0.0.1" : "127.0.0.2", family: 4 }]);
    const strict = { allowPrivateSinks: false, allowSinkNetworks: ["127.0.0.1"], resolve };
    const at = `http://sink.example:${new URL(sink.url).port}/`;
    for (const url of [`http://login.example:${port}/`, `http://127.0.0.3:${port}/`]) {
      const target = targetOf({ id: url, sink: at, sinkcredential: clientOf(url) }, strict);
      const outcome = await push(target);
      expect(outcome).toMatchObject({ kind: "failed", status: "token" });
      expect(JSON.stringify(outcome)).toContain("not public");
    }
    expect(tokens.requests).toHaveLength(0);
  });

  it("are taken out of what the sink says, also where its words are cut in the midst of one", async () => {
    const sink = await sinkThat(({ headers }, response) =>
      response.writeHead(400).end(JSON.stringify(headers)),
    );
    const apikey = "a-rather-long-key-0123456789";
    const headers = { "x-secret": "header-secret-1" };
    const target = targetOf({
      ...{ sink: sink.url, protocolsettings: { headers } },
      sinkcredential: { credentialtype: "APIKEY", headername: "x-key", apikey },
    });
    const said = JSON.stringify(await push(target));
    expect(said).toContain("[redacted]");
    for (const hidden of [apikey, "header-secret-1"]) expect(said).not.toContain(hidden);
    sink.answer = (_, response) => response.writeHead(400).end("x".repeat(500) + apikey);
    expect(JSON.stringify(await push(target))).not.toContain("a-rather");
    const [pair, tokens] = [Buffer.from("me:pass-word").toString("base64"), await endpoint()];
    sink.answer = (received, response) =>
      response.writeHead(400).end(received.headers.authorization);
    const basic = { credentialtype: "PLAIN", identifier: "me", secret: "pass-word" };
    expect(
      JSON.stringify(await push(targetOf({ sink: sink.url, sinkcredential: basic }))),
    ).not.toContain(pair);
    const fetched = targetOf({ id: "s3", sink: sink.url, sinkcredential: clientOf(tokens.url) });
    expect(JSON.stringify(await push(fetched))).not.toContain("token-1");
  });
});

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

describe.skipIf(!hasOpenssl)("a client certificate towards a sink", () => {
  let folder: string;
  let server: Server;
  const seen: string[] = [];
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");

  function certificate(name: string, subject: string): void {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const names = ["-subj", `/CN=${subject}`, "-addext", "subjectAltName=DNS:localhost"];
    const out = ["-keyout", join(folder, `${name}.key`), "-out", join(folder, `${name}.pem`)];
    execFileSync("openssl", ["req", "-x509", ...key, ...names, ...out, "-days", "2"], {
      stdio: "pipe",
    });
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "fleetmesh-mtls-"));
    certificate("sink", "localhost");
    certificate("mesh", "the-mesh");
    const own = { key: read("sink.key"), cert: read("sink.pem") };
    const asks = { requestCert: true, rejectUnauthorized: true, ca: read("mesh.pem") };
    server = createServer({ ...own, ...asks }, (request, response) => {
      if (request.socket instanceof TLSSocket)
        seen.push(String(request.socket.getPeerCertificate().subject.CN));
      request.resume().on("end", () => response.writeHead(204).end());
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true, force: true });
  });

  const mine = (over: object = {}): Partial<Subscription> => ({
    sink: `https://localhost:${(server.address() as AddressInfo).port}/`,
    protocolsettings: {
      tls: {
        certificate: read("mesh.pem"),
        privatekey: read("mesh.key"),
        authorities: read("sink.pem"),
        ...over,
      },
    },
  });

  it("tells the sink who pushes, and trusts the authority that was given", async () => {
    expect((await push(targetOf(mine()))).kind).toBe("taken");
    expect(seen).toEqual(["the-mesh"]);
  });

  it("is needed there, and the sink's own is checked", async () => {
    const without = targetOf(mine({ certificate: undefined, privatekey: undefined }));
    expect((await push(without)).kind).toBe("failed");
    expect((await push(targetOf(mine({ authorities: undefined })))).kind).toBe("failed");
    expect(seen).toHaveLength(1);
  });

  it("is refused with a key that is not its own, in words without the key", () => {
    const wrong = mine({ privatekey: read("sink.key") });
    expect(() => targetOf(wrong)).toThrow(/protocolsettings\.tls: .*belong together/);
    expect(() => targetOf(mine({ authorities: "no PEM" }))).toThrow(/must be PEM/);
  });
});
