import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { freePortBase } from "../durability/mesh-processes.ts";
import { DeliverySink, until } from "../integration/delivery-sink.ts";
import { DevProcess, mesh, type ReadyLine } from "../integration/mesh-cli.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";

const topic = "orders.placed";
const texts = (prefix: string): string[] => Array.from({ length: 50 }, (_, n) => `${prefix}-${n}`);

/** Sends them one after another; resolves when the region has taken all. */
async function publish({ regions, token }: ReadyLine, ids: readonly string[]): Promise<void> {
  const url = `${regions["cn-east"]?.http ?? ""}/v1/topics/${topic}/events`;
  for (const id of ids) {
    const body = JSON.stringify({ specversion: "1.0", id, source: "urn:test", type: "t" });
    const headers = {
      authorization: `Bearer ${token}`,
      "content-type": "application/cloudevents+json",
    };
    const response = await fetch(url, { method: "POST", headers, body });
    expect(response.status, await response.text()).toBe(200);
  }
}

/** Processes that run on this data directory. */
async function serversOn(dir: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const commands = pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""));
  const all = await Promise.all(commands);
  return all.filter((command) => command.startsWith("java") && command.includes(dir));
}

it.skipIf(sharedPulsarMissing() !== undefined)(
  "mesh dev --pulsar carries events between its regions' clusters, over kill -9 too, and leaves no server behind",
  async () => {
    const dir = await mkdtemp(join(tmpdir(), "fleetmesh-dev-pulsar-"));
    onTestFinished(() => rm(dir, { recursive: true, force: true }));
    const sink = await new DeliverySink().start();
    onTestFinished(() => sink.stop());
    const base = String(await freePortBase());
    const place = ["--data-dir", dir, "--port-base", base, "--vehicles", "1"];
    const args = [...place, "--headless", "--json", "--pulsar"];
    const started = async () => {
      const dev = new DevProcess(args);
      onTestFinished(async () => {
        await dev.end("SIGKILL");
      });
      return { dev, ready: await dev.ready() };
    };

    const first = await started();
    const address = { tenant: "fleetmesh", namespace: "mesh" };
    expect(Object.keys(first.ready.pulsar ?? {})).toEqual(["cn-east", "cn-west"]);
    expect(first.ready.pulsar?.["cn-east"]).toMatchObject(address);
    const { http } = first.ready.regions["cn-west"] ?? { http: "" };
    const login = { MESH_URL: http, MESH_TOKEN: first.ready.token };
    const subscribed = await mesh(["subscribe", topic, "--sink", sink.url], { env: login });
    expect(subscribed.code, subscribed.stderr).toBe(0);
    await publish(first.ready, texts("first"));
    await until(() => new Set(sink.ids).size === 50);

    const another = await mesh(["dev", ...args]);
    expect(another).toMatchObject({ code: 6, stdout: "" });
    expect(another.stderr).toContain("MESH-8003");
    await publish(first.ready, texts("second"));
    await first.dev.end("SIGKILL");
    await until(async () => (await serversOn(dir)).length === 0);

    const second = await started();
    expect(second.ready.pulsar).toEqual(first.ready.pulsar);
    await publish(second.ready, texts("third"));
    await until(() => new Set(sink.ids).size === 150);
    expect(await second.dev.end("SIGINT")).toBe(0);
    expect(await serversOn(dir)).toEqual([]);
  },
  480_000,
);

it("mesh dev --pulsar says what is missing, and how to get it", async () => {
  const dir = await mkdtemp(join(tmpdir(), "fleetmesh-dev-pulsar-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const env = { PATH: dir, XDG_CACHE_HOME: join(dir, "cache") };
  const place = ["--data-dir", dir, "--port-base", String(await freePortBase())];
  const { code, stdout, stderr } = await mesh(["dev", ...place, "--headless", "--pulsar"], { env });
  expect(code).toBe(1);
  expect(stdout).toBe("");
  for (const said of ["MESH-8004", "no java", "no mvn", "openjdk-17"])
    expect(stderr).toContain(said);
});
