import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLogger, SimulatedClock, systemClock } from "@fleetmesh/core";
import { examineEdge } from "../src/agent/doctor.ts";
import {
  edgeAgentConfigSchema,
  type EdgeAgentConfigInput,
} from "../src/agent/edge-agent-config.ts";

const logger = createLogger({ part: "test", level: "silent" });
let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "fleetmesh-doctor-"));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

async function examine(more: Partial<EdgeAgentConfigInput> = {}, clock = systemClock) {
  const uplink = { url: "mqtt://127.0.0.1:1", connectTimeoutMs: 500 };
  const config = edgeAgentConfigSchema.parse({ agentId: "v1", dataDir, uplink, ...more });
  const results = await examineEdge(config, { clock, logger, isRunning: false });
  return new Map(results.map((result) => [result.check, result]));
}

describe("doctor of the edge agent", () => {
  it("finds a broker that is not there, and says what to do", async () => {
    const results = await examine();
    expect(results.get("broker")).toMatchObject({ ok: false });
    expect(results.get("broker")?.advice).not.toBe("");
    expect(results.get("dns")).toMatchObject({ ok: true });
    expect(results.get("fsync")?.found).toMatch(/median/);
  });

  it("finds a clock that was never set", async () => {
    const results = await examine({}, new SimulatedClock(0));
    expect(results.get("clock")).toMatchObject({ ok: false });
  });

  it("finds a missing token, and one that has expired", async () => {
    expect((await examine()).get("token")).toMatchObject({ ok: false });
    const claims = Buffer.from(JSON.stringify({ exp: 1_000 })).toString("base64url");
    const uplink = { url: "mqtt://127.0.0.1:1", token: `x.${claims}.x`, connectTimeoutMs: 500 };
    expect((await examine({ uplink })).get("token")).toMatchObject({
      ok: false,
      found: expect.stringContaining("expired") as string,
    });
  });

  it("finds a port that is taken", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const results = await examine({ admin: { port } });
    expect(results.get("ports")).toMatchObject({ ok: false });
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });

  it("finds a disk too small for the buffer", async () => {
    const results = await examine({ buffer: { bytesMax: 2 ** 52 } });
    expect(results.get("disk")).toMatchObject({ ok: false });
  });
});
