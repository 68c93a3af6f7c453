import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { bridgeConfigSchema, createBridge, type Bridge } from "@fleetmesh/bridge";
import { createLogger, systemChance, systemClock } from "@fleetmesh/core";
import { createSigningKey } from "@fleetmesh/door";
import { mesh, type Ran } from "./mesh-cli.ts";
import { eventText, RuntimeHarness } from "./runtime-harness.ts";

const open: { close(): Promise<void> }[] = [];
const waiting = { timeout: 20_000, interval: 20 };
const bridgeToken = "let-me-in";

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

/** Two regions joined by a bridge, a third that runs beside them, and an operator at the bridge's machine. */
async function scene() {
  const dir = await mkdtemp(join(tmpdir(), "fleetmesh-bridge-"));
  open.push({ close: () => rm(dir, { recursive: true, force: true }) });
  const key = await createSigningKey("mesh");
  const names = ["cn-east", "cn-west", "cn-north"];
  const [east, west, north] = (await Promise.all(
    names.map((region) => RuntimeHarness.open({ region, store: { type: "sqlite" } }, key)),
  )) as [RuntimeHarness, RuntimeHarness, RuntimeHarness];
  open.push(east, west, north);
  const regionOf = async (of: RuntimeHarness): Promise<object> => ({
    ...{ name: of.region, url: of.url, token: await of.token() },
  });
  const settings = {
    regions: [await regionOf(east), await regionOf(west)],
    regionsDir: join(dir, "regions.d"),
    topics: [{ topic: "policy.>", to: ["cn-north"] }],
    pollMs: 2_000,
  };
  const logger = createLogger({ part: "bridge", level: "silent" });
  const config = bridgeConfigSchema.parse({ ...settings, http: { port: 0, token: bridgeToken } });
  const bridge: Bridge = createBridge(config, {
    ...{ clock: systemClock, chance: systemChance, logger },
  });
  await bridge.start();
  open.push({ close: () => bridge.stop() });
  const http = { host: "127.0.0.1", port: bridge.port, token: bridgeToken };
  const bridgeFile = join(dir, "bridge.yaml");
  await writeFile(bridgeFile, JSON.stringify({ ...settings, http }));
  const regionFile = join(dir, "north.yaml");
  // JSON is YAML, but nobody writes a region's file so.
  const lines = Object.entries(await regionOf(north)).map(([name, value]) => `${name}: ${value}\n`);
  await writeFile(regionFile, lines.join(""));
  const user = (...args: string[]): Promise<Ran> =>
    mesh(["--timeout", "20", "region", ...args, "--bridge", bridgeFile]);
  return { ...{ dir, east, west, north, bridge, regionFile, bridgeFile, user } };
}

async function subscribe(region: RuntimeHarness, topic: string): Promise<void> {
  const body = { id: "s", topic, sink: "http://127.0.0.1:9/", protocol: "HTTP" };
  const response = await region.request("/v1/subscriptions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(201);
}

describe("mesh region", () => {
  it("brings a region into the mesh and out of it again while events flow, and loses none of them", async () => {
    const { dir, east, west, north, bridge, regionFile, user } = await scene();
    await subscribe(west, "a");
    await subscribe(north, "a");
    let published = 0;
    const stop = new AbortController();
    const publishing = (async () => {
      while (!stop.signal.aborted) {
        published += 1;
        await east.publish("a", eventText(`e${published}`));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    await vi.waitFor(async () => expect((await west.ids("a")).length).toBeGreaterThan(10), waiting);
    expect(await north.ids("a")).toEqual([]);

    const joined = await user("join", regionFile);
    expect([joined.code, joined.stdout]).toEqual([
      0,
      expect.stringContaining('"state": "joined"') as string,
    ]);
    await vi.waitFor(
      async () => expect((await north.ids("a")).length).toBeGreaterThan(10),
      waiting,
    );
    expect(await user("join", regionFile)).toMatchObject({ code: 0 });
    stop.abort();
    await publishing;
    await vi.waitFor(async () => expect(await west.ids("a")).toHaveLength(published), waiting);

    const left = await user("leave", "cn-north");
    expect([left.code, left.stderr]).toEqual([0, ""]);
    expect(await readdir(join(dir, "regions.d"))).toEqual([]);
    // It drained before: what its subscription wanted is there.
    expect(await north.ids("a")).toEqual(await east.ids("a"));
    expect(bridge.regions().map(({ name }) => name)).toEqual(["cn-east", "cn-west"]);
    await east.publish("a", eventText("later"));
    await vi.waitFor(async () => expect(await west.ids("a")).toContain("later"), waiting);
    expect(await north.ids("a")).not.toContain("later");
    const ledger = (await (await north.request("/v1/ledger")).json()) as { difference: number };
    expect(ledger.difference).toBe(0);
  });

  it("says what is wrong, by exit code and in words, and changes nothing then", async () => {
    const { dir, east, north, regionFile, bridgeFile, user } = await scene();
    const wrong = join(dir, "wrong.yaml");
    await writeFile(wrong, "name: cn-north\nurl: nowhere\ntokn: x\n");
    const invalid = await user("join", wrong);
    expect(invalid.code).toBe(3);
    expect(invalid.stderr).toContain(`${wrong}:3:1: MESH-2001 tokn: unknown key "tokn"`);
    await writeFile(wrong, `name: cn-east\nurl: ${east.url}\ntoken: x\n`);
    expect((await user("join", wrong)).code).toBe(6);
    expect((await user("leave", "cn-east")).code).toBe(6);
    expect((await user("leave", "cn-south")).code).toBe(5);
    const stranger = await mesh([
      "--token",
      "x",
      "region",
      "join",
      regionFile,
      "--bridge",
      bridgeFile,
    ]);
    expect(stranger.code).toBe(4);
    await expect(readdir(join(dir, "regions.d"))).rejects.toThrow("ENOENT");

    expect((await user("join", regionFile)).code).toBe(0);
    const text = await readFile(regionFile, "utf8");
    await writeFile(regionFile, `# moved\n${text}`);
    expect((await user("join", regionFile)).code).toBe(6);
    expect((await user("join", regionFile, "--replace")).code).toBe(0);
    await north.stop();
    await east.publish("policy.x", eventText("e"));
    const stuck = await user("leave", "cn-north", "--drain", "1");
    expect([stuck.code, stuck.stderr]).toEqual([7, expect.stringContaining("policy.x") as string]);
    expect((await user("leave", "cn-north", "--force")).code).toBe(0);
  });

  it("keeps a region whose file was spoilt by hand as it was, and says so", async () => {
    const { dir, bridge, regionFile, user } = await scene();
    expect((await user("join", regionFile)).code).toBe(0);
    const file = join(dir, "regions.d", "cn-north.yaml");
    await writeFile(file, "name: cn-north\n");
    await vi.waitFor(
      () => expect(bridge.regions()).toContainEqual(expect.objectContaining({ state: "invalid" })),
      waiting,
    );
    expect(bridge.regions()).toHaveLength(3);
    await writeFile(file, await readFile(regionFile, "utf8"));
    await vi.waitFor(
      () =>
        expect(bridge.regions()).toContainEqual(
          expect.objectContaining({ name: "cn-north", state: "joined" }),
        ),
      waiting,
    );
  });

  it("shows links and regions to who has the bridge's token only", async () => {
    const { bridge } = await scene();
    const ask = (path: string, token?: string): Promise<Response> =>
      fetch(`http://127.0.0.1:${bridge.port}${path}`, {
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      });
    for (const path of ["/v1/links", "/v1/regions"]) {
      expect((await ask(path)).status).toBe(401);
      expect((await ask(path, "wrong")).status).toBe(401);
      expect((await ask(path, bridgeToken)).status).toBe(200);
    }
    expect((await ask("/livez")).status).toBe(200);
  });
});
