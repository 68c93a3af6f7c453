import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createLogger, noExtensions, systemChance, systemClock } from "@fleetmesh/core";
import {
  createEdgeAgent,
  edgeAgentConfigSchema,
  examineEdge,
  type EdgeAgent,
  type EdgeAgentConfig,
} from "@fleetmesh/edge-agent";
import { RuntimeHarness } from "./runtime-harness.ts";

const logger = createLogger({ part: "test", level: "silent" });
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
const topic = "vehicle.telemetry";
let folder: string;
let region: RuntimeHarness | undefined;
let agent: EdgeAgent | undefined;

const at = (name: string): string => join(folder, name);
const openssl = (...args: string[]): void => void execFileSync("openssl", args, { stdio: "pipe" });
const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

function makeAuthority(name: string): void {
  const subject = ["-subj", `/CN=${name}`, "-days", "2"];
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    at(`${name}.key`),
    "-out",
    at(`${name}.pem`),
    ...subject,
  );
}

function makeCertificate(name: string, authority: string): void {
  const [key, request] = [at(`${name}.key`), at(`${name}.csr`)];
  openssl("req", ...newKey, "-keyout", key, "-out", request, "-subj", `/CN=${name}`);
  writeFileSync(at("names.ext"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  const signer = [
    "-CA",
    at(`${authority}.pem`),
    "-CAkey",
    at(`${authority}.key`),
    "-CAcreateserial",
  ];
  const out = ["-out", at(`${name}.pem`), "-days", "2", "-extfile", at("names.ext")];
  openssl("x509", "-req", "-in", request, ...signer, ...out);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetmesh-tls-"));
  if (!hasOpenssl) return;
  makeAuthority("mesh");
  makeAuthority("stranger");
  makeCertificate("region", "mesh");
  makeCertificate("car", "mesh");
  makeCertificate("thief", "stranger");
});

afterEach(async () => {
  await agent?.stop(AbortSignal.timeout(5_000));
  await region?.close();
  agent = undefined;
  region = undefined;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A region with a certificate of the mesh, that asks for client certificates of the mesh. */
function openRegion(): Promise<RuntimeHarness> {
  const tls = {
    certFile: at("region.pem"),
    keyFile: at("region.key"),
    caFile: at("mesh.pem"),
    requireClientCert: true,
  };
  return RuntimeHarness.open({}, undefined, tls);
}

async function configOf(
  { mqttPort }: { mqttPort: number },
  tls: { caFile?: string; certFile?: string; keyFile?: string },
): Promise<EdgeAgentConfig> {
  return edgeAgentConfigSchema.parse({
    agentId: "car-1",
    dataDir: await mkdtemp(join(folder, "agent-")),
    uplink: {
      url: `mqtts://127.0.0.1:${mqttPort}`,
      token: await region?.token(undefined, "car-1"),
      tls,
      reconnect: { initialMs: 20, maxMs: 200 },
    },
  });
}

async function start(config: EdgeAgentConfig): Promise<EdgeAgent> {
  agent = createEdgeAgent(config, { clock: systemClock, chance: systemChance, logger });
  await agent.start();
  return agent;
}

const event = {
  id: "e1",
  source: "/s",
  type: "t",
  subject: undefined,
  time: undefined,
  datacontenttype: undefined,
  dataschema: undefined,
  extensions: noExtensions,
  data: Buffer.from("x"),
  dataKind: "binary" as const,
};

async function brokerCheck(config: EdgeAgentConfig) {
  const ports = { clock: systemClock, logger, isRunning: false };
  const results = await examineEdge(config, ports);
  return results.find(({ check }) => check === "broker");
}

describe.skipIf(!hasOpenssl)("the uplink over TLS", () => {
  it("brings events to a region whose certificate its authority signed, with a certificate of its own", async () => {
    region = await openRegion();
    const own = { certFile: at("car.pem"), keyFile: at("car.key") };
    const config = await configOf(region.runtime, { caFile: at("mesh.pem"), ...own });
    expect(await brokerCheck(config)).toMatchObject({ ok: true });
    await (await start(config)).publish(topic, event);
    const { ids } = { ids: () => region?.ids(topic) ?? Promise.resolve([]) };
    await vi.waitUntil(async () => (await ids()).includes("e1"), { timeout: 20_000 });
  });

  it("says that the region's certificate is not trusted, in the status and by the doctor", async () => {
    region = await openRegion();
    const own = { certFile: at("car.pem"), keyFile: at("car.key") };
    const config = await configOf(region.runtime, { caFile: at("stranger.pem"), ...own });
    const found = await brokerCheck(config);
    expect(found?.ok).toBe(false);
    expect(found?.found).toContain("certificate is not trusted");
    expect(found?.advice).toContain("uplink.tls.caFile");
    const { uplink } = await start(config);
    await vi.waitUntil(() => uplink.status().lastError !== undefined, { timeout: 10_000 });
    expect(uplink.status().lastError?.reason).toContain("certificate is not trusted");
    expect(uplink.status().state).not.toBe("online");
  });

  it("is not let in with a certificate of somebody else's, or with none, and says why", async () => {
    region = await openRegion();
    for (const own of [{}, { certFile: at("thief.pem"), keyFile: at("thief.key") }]) {
      const found = await brokerCheck(
        await configOf(region.runtime, { caFile: at("mesh.pem"), ...own }),
      );
      expect(found?.ok).toBe(false);
      expect(found?.found).toMatch(/certificate/);
      expect(found?.advice).toContain("uplink.tls.certFile");
    }
  });
});
