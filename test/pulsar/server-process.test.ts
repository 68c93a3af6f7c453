import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { expect, onTestFinished, test } from "vitest";
import { ServerProcess } from "../../cli/src/dev/pulsar/server-process.ts";

/** Starts a server and stays; node cannot run the TypeScript, so it gets it compiled. */
const starterScript = `
  import { ServerProcess } from "./server-process.mjs";
  const server = await ServerProcess.start({ command: "sleep", args: ["600"], cwd: ".", logFile: "log" });
  console.log(server.pid);
  setInterval(() => undefined, 1_000);
`;

test("a server ends with the process that started it, even when that is killed", async () => {
  const dir = await mkdtemp(join(tmpdir(), "fleetmesh-server-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const module = ts.ModuleKind.ESNext;
  const source = await readFile(
    new URL("../../cli/src/dev/pulsar/server-process.ts", import.meta.url),
    "utf8",
  );
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module, target: ts.ScriptTarget.ES2023 },
  });
  await writeFile(join(dir, "server-process.mjs"), outputText);
  await writeFile(join(dir, "starter.mjs"), starterScript);
  const starter = spawn(process.execPath, ["starter.mjs"], {
    cwd: dir,
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void starter.kill("SIGKILL"));
  const [line] = (await once(starter.stdout, "data")) as [Buffer];
  const pid = line.toString().trim();
  expect(await commandOf(pid)).toContain("sleep");
  starter.kill("SIGKILL");
  await expect.poll(() => commandOf(pid), { timeout: 10_000 }).toBe("");
});

/** Empty when it is gone, or dead and not yet collected. */
async function commandOf(pid: string): Promise<string> {
  return readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
}

test("puts a large log aside at a start, and goes on in a small one", async () => {
  const dir = await mkdtemp(join(tmpdir(), "fleetmesh-server-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const logFile = join(dir, "out");
  const run = async (text: string): Promise<void> => {
    const server = await ServerProcess.start({ command: "echo", args: [text], cwd: dir, logFile });
    await server.gone;
  };
  const large = "x".repeat(1024 * 1024 + 1);
  await writeFile(logFile, large);
  await run("first");
  await run("second");
  expect(await readFile(logFile, "utf8")).toBe("first\nsecond\n");
  expect(await readFile(`${logFile}.1`, "utf8")).toBe(large);
});
