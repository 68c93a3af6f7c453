import { execFile, spawn, type ChildProcess } from "node:child_process";
import { createWriteStream, type WriteStream } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { anyPort, isFree } from "../servers/free-ports.ts";

export const meshBin = fileURLToPath(new URL("../../cli/bin/mesh.mjs", import.meta.url));
const devOffsets = [0, 1, 2, 11, 12, 20, 21, 22, 23, 30];
/** With those of Pulsar, which follow. */
const portsOfDev = 60;

/** A base whose ports of `mesh dev` are all free. */
export async function freePortBase(): Promise<number> {
  for (;;) {
    const base = anyPort(portsOfDev);
    const areFree = await Promise.all(devOffsets.map((offset) => isFree(base + offset)));
    if (areFree.every(Boolean)) return base;
  }
}

export type ProcessName = "cn-east" | "cn-west" | "bridge" | "edge-1";
const kinds: Readonly<Record<ProcessName, string>> = {
  "cn-east": "runtime",
  "cn-west": "runtime",
  bridge: "bridge",
  "edge-1": "edge",
};
export const processNames = Object.keys(kinds) as ProcessName[];

/** One process of the mesh, started anew as often as it is killed. */
export class MeshProcess {
  readonly name: ProcessName;
  readonly #command: readonly string[];
  readonly #log: WriteStream;
  #child: ChildProcess | undefined;
  #isKilled = false;
  #ready: Promise<void> = Promise.resolve();
  /** Ends that nobody here caused: each is a fault of the process. */
  readonly crashes: string[] = [];

  constructor(name: ProcessName, command: readonly string[], logFile: string) {
    this.name = name;
    this.#command = command;
    this.#log = createWriteStream(logFile, { flags: "a" });
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when it says `ready`. */
  start(): Promise<void> {
    const child = spawn(process.execPath, this.#command, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.#isKilled = false;
    child.stderr.pipe(this.#log, { end: false });
    this.#ready = new Promise((resolve) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (line.includes("ready")) resolve();
      });
    });
    child.once("exit", (code, signal) => {
      if (this.#child !== child || this.#isKilled) return;
      this.crashes.push(`${this.name} ended by itself: ${code ?? signal ?? "?"}`);
      this.#child = undefined;
    });
    return this.#ready;
  }

  /** SIGKILL, and gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    this.#isKilled = true;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    this.#child = undefined;
  }

  /** Stands still for some time, like a machine that is suspended. */
  async freeze(ms: number): Promise<void> {
    const child = this.#child;
    child?.kill("SIGSTOP");
    await pause(ms);
    child?.kill("SIGCONT");
  }

  whenReady(): Promise<void> {
    return this.#ready;
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The mesh of `mesh dev --write-config`, one real process each, in a folder of its own. */
export class MeshProcesses {
  readonly dir: string;
  readonly token: string;
  readonly processes: ReadonlyMap<ProcessName, MeshProcess>;
  readonly #base: number;

  static async create(): Promise<MeshProcesses> {
    const dir = await mkdtemp(join(tmpdir(), "fleetmesh-processes-"));
    const base = await freePortBase();
    const where = ["--data-dir", dir, "--port-base", String(base)];
    const write = ["dev", ...where, "--write-config", join(dir, "config")];
    await promisify(execFile)(process.execPath, [meshBin, ...write]);
    const token = (await readFile(join(dir, "token"), "utf8")).trim();
    return new MeshProcesses({ dir, base, token });
  }

  private constructor(given: { dir: string; base: number; token: string }) {
    this.dir = given.dir;
    this.token = given.token;
    this.#base = given.base;
    const created = processNames.map((name): [ProcessName, MeshProcess] => {
      const run = ["run", kinds[name], "--config", this.configFile(name), "--log-level", "warn"];
      return [name, new MeshProcess(name, [meshBin, ...run], join(this.dir, `${name}.log`))];
    });
    this.processes = new Map(created);
    process.once("exit", () => {
      for (const { pid } of this.all) if (pid !== undefined) process.kill(pid, "SIGKILL");
    });
  }

  get all(): readonly MeshProcess[] {
    return [...this.processes.values()];
  }

  /** Offset as interfaces.md lists them. */
  port(offset: 1 | 2 | 11 | 12 | 20 | 21 | 22): number {
    return this.#base + offset;
  }

  configFile(name: ProcessName): string {
    return join(this.dir, "config", `${name}.yaml`);
  }

  process(name: ProcessName): MeshProcess {
    const found = this.processes.get(name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }

  async start(): Promise<void> {
    await Promise.all(this.all.map((each) => each.start()));
  }

  async json(offset: 1 | 2 | 22, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${this.port(offset)}${path}`, {
      headers: { authorization: `Bearer ${this.token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text) as unknown;
  }

  /** What the processes said on stderr, the end of it. */
  async logs(): Promise<string> {
    const texts = processNames.map(async (name) => {
      const text = await readFile(join(this.dir, `${name}.log`), "utf8").catch(() => "");
      return `--- ${name}\n${text.slice(-3_000)}`;
    });
    return (await Promise.all(texts)).join("\n");
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((each) => each.kill()));
    if (process.env["KEEP_DIR"] === undefined) await rm(this.dir, { recursive: true, force: true });
  }
}
