import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { meshBin } from "../durability/mesh-processes.ts";

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** A program as a user runs it, to its end. */
export async function run(
  command: string,
  args: readonly string[],
  { cwd, env, input }: RunOptions = {},
): Promise<Ran> {
  const child = spawn(command, args, { cwd, env: { ...cleanEnvironment(), ...env } });
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (said.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (said.stderr += chunk.toString()));
  child.stdin.on("error", () => undefined);
  child.stdin.end(input ?? "");
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { code, ...said };
}

export function mesh(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return run(process.execPath, [meshBin, ...args], options);
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  const ours = /^(MESH_|VITEST|NODE_OPTIONS)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
}

export interface ReadyLine {
  readonly ready: true;
  readonly panel: string;
  readonly regions: Readonly<Record<string, { readonly http: string; readonly mqtt: string }>>;
  readonly agent: { readonly http: string; readonly mqtt: string; readonly status: string };
  /** With --pulsar. */
  readonly pulsar?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly token: string;
}

/** `mesh dev` as a child that goes on running. */
export class DevProcess {
  readonly lines: string[] = [];
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  stderr = "";

  constructor(args: readonly string[], cwd?: string) {
    const env = cleanEnvironment();
    const stdio: ["ignore", "pipe", "pipe"] = ["ignore", "pipe", "pipe"];
    const child = spawn(process.execPath, [meshBin, "dev", ...args], { cwd, env, stdio });
    child.stderr.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
    createInterface({ input: child.stdout }).on("line", (line) => this.lines.push(line));
    this.exited = new Promise((resolve) => child.once("close", resolve));
    this.child = child;
  }

  /** The first line on stdout; throws what it said when it ended instead. */
  async ready(): Promise<ReadyLine> {
    const ended = this.exited.then(() => {
      if (this.lines.length === 0) throw new Error(`mesh dev ended: ${this.stderr}`);
    });
    const line = (async (): Promise<void> => {
      while (this.lines.length === 0 && this.child.exitCode === null)
        await new Promise((resolve) => setTimeout(resolve, 20));
    })();
    await Promise.race([ended, line]);
    if (this.lines.length === 0) await ended;
    return JSON.parse(this.lines[0] ?? "") as ReadyLine;
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal);
    return this.exited;
  }
}
