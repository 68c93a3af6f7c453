import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePortBase } from "../durability/mesh-processes.ts";
import { until } from "./delivery-sink.ts";
import { DevProcess, mesh, run } from "./mesh-cli.ts";

// The readmes' commands as they stand there, in a folder of their own; only the ports are moved out of the way.

const portsShown = 8080;
const root = new URL("../../", import.meta.url);
let dir: string;
let base: number;
let dev: DevProcess;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "fleetmesh-readme-"));
  base = await freePortBase();
  dev = new DevProcess(["--port-base", String(base)], dir);
  await until(() => dev.lines.includes("ready"));
});

afterAll(async () => {
  await dev.end("SIGKILL");
  await rm(dir, { recursive: true, force: true });
});

function blocksOf(text: string, language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm");
  return [...text.matchAll(fence)].map((match) => match[1] ?? "");
}

const movedTo = (script: string): string =>
  script.replace(/(127\.0\.0\.1:|-p )(8[01]\d\d)/g, (_, before: string, port: string) => {
    return before + String(base + Number(port) - portsShown);
  });

describe.each(["README.md", "README.zh-CN.md"])("%s", (file) => {
  it("shows a curl that is accepted, and what the first terminal then prints", async () => {
    const text = await readFile(new URL(file, root), "utf8");
    const script = blocksOf(text, "sh").find((block) => block.startsWith("curl")) ?? "";
    const shown = blocksOf(text, "").find((block) => block.startsWith("{")) ?? "";
    const { stdout } = await run("sh", ["-c", movedTo(script)], { cwd: dir });
    expect(stdout).toBe('{"accepted":1}');
    await until(() => dev.lines.includes(shown.trim()));
  });

  it("shows a mosquitto_pub that is accepted", async ({ skip }) => {
    if (spawnSync("mosquitto_pub", ["--help"]).error) skip("missing mosquitto-clients");
    const text = await readFile(new URL(file, root), "utf8");
    const script = blocksOf(text, "sh").find((block) => block.startsWith("mosquitto_pub")) ?? "";
    const { code, stderr } = await run("sh", ["-c", movedTo(script)], { cwd: dir });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    await until(() => dev.lines.some((line) => line.includes('"id":"hello-2"')));
  });

  it("names a trace that finds the event", async () => {
    const { code, stdout } = await mesh(["trace", "hello-1"], { cwd: dir });
    expect(code).toBe(0);
    const { traces } = JSON.parse(stdout) as { traces: unknown[] };
    // Both readmes publish it, and it is one event: from the edge to its region, and to the one that subscribed.
    expect(traces).toMatchObject([
      {
        region: "cn-east",
        topic: "vehicle.hello",
        origin: { agentId: expect.any(String) as string },
      },
      { region: "cn-west", topic: "vehicle.hello", origin: { region: "cn-east" } },
    ]);
  });
});
