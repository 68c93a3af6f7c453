import { execFile, execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
const built = new URL("../../cloud-runtime/dist/target/http-target.js", import.meta.url).href;
/** Authorities can only be added when a process starts, so the pushes are made by one of their own. */
const program = `
  import { systemChance, systemClock } from "@fleetmesh/core";
  import { HttpTarget } from "${built}";
  const event = { id: "1", source: "s", type: "t", extensions: [], data: Buffer.from("{}"), dataKind: "json" };
  const at = { topic: "a", subscription: "s1", timeoutMs: 5000, isRedriven: false, event };
  const subscription = { sink: process.argv[1], protocolsettings: {}, delivery: {} };
  const ports = { clock: systemClock, chance: systemChance };
  const target = new HttpTarget(subscription, { ...ports, allowPrivateSinks: true });
  const outcomes = [];
  for (const _ of [1, 2, 3])
    outcomes.push(await new Promise((settle) => target.deliver({ ...at, settle })));
  await target.stop();
  console.log(JSON.stringify(outcomes));
`;
let folder: string;
let server: Server;
const seen = { connections: 0, requests: 0 };
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetmesh-push-tls-"));
  if (!hasOpenssl) return;
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const out = ["-keyout", at("sink.key"), "-out", at("sink.pem"), "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...key, ...names, ...out], { stdio: "pipe" });
  const identity = { key: readFileSync(at("sink.key")), cert: readFileSync(at("sink.pem")) };
  server = createServer(identity, (request, response) => {
    seen.requests += 1;
    request.resume().on("end", () => response.writeHead(202).end());
  });
  server.on("connection", () => (seen.connections += 1));
  await once(server.listen(0, "127.0.0.1"), "listening");
});

afterAll(async () => {
  if (hasOpenssl) await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

async function pushThrice(host: string, trusted?: string): Promise<unknown> {
  const url = `https://${host}:${(server.address() as AddressInfo).port}/events`;
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: trusted };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "-e", program, url],
    { env, cwd: import.meta.dirname },
  );
  return JSON.parse(stdout);
}

describe.skipIf(!hasOpenssl)("push over TLS", () => {
  it("keeps one connection to a sink that proves who it is", async () => {
    const before = { ...seen };
    const taken = { kind: "taken", status: "202" };
    expect(await pushThrice("localhost", at("sink.pem"))).toEqual([taken, taken, taken]);
    expect(seen.connections - before.connections).toBe(1);
    expect(seen.requests - before.requests).toBe(3);
  });

  it.each([
    ["whom nobody vouches for", "localhost", undefined],
    ["under another name", "127.0.0.1", "sink.pem"],
  ])("sends nothing to a sink %s", async (_, host, trusted) => {
    const before = seen.requests;
    const outcomes = await pushThrice(host, trusted === undefined ? undefined : at(trusted));
    expect(outcomes).toEqual(Array(3).fill(expect.objectContaining({ kind: "failed" })));
    expect(seen.requests).toBe(before);
  });
});
