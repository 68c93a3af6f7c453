import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MeshError } from "@fleetmesh/core";
import { pulsarHome, pulsarVersion } from "./pulsar-distribution.ts";

export interface DownloadStep {
  readonly text: string;
  /** Of all bytes, from 0 to 1, where that is known. */
  readonly share?: number;
}

export interface DownloadPorts {
  readonly tell: (step: DownloadStep) => void;
  readonly signal: AbortSignal;
}

interface Tool {
  readonly command: string;
  readonly args: readonly string[];
  readonly onText?: (text: string) => void;
}

const artifact = `org.apache.pulsar:pulsar-server-distribution:${pulsarVersion}:tar.gz:bin`;
const unused = ["bin", "examples", "instances"];
const javaMin = 17;
const hint =
  "Debian, Ubuntu: apt install openjdk-17-jre-headless maven; macOS: brew install openjdk@17 maven. Without --pulsar no server is needed.";

/**
 * Java is there, and Pulsar's server distribution: fetched once, by Maven, from the repository that Maven is configured with.
 * Errors: SERVER_MISSING, with what is missing and how to get it; STOPPING.
 */
export async function ensurePulsar(ports: DownloadPorts): Promise<void> {
  const java = javaProblem();
  const isThere = existsSync(join(pulsarHome, "lib"));
  const tools = isThere ? [] : ["mvn", "tar"].filter((command) => !answers(command, "--version"));
  const missing = [...(java === undefined ? [] : [java]), ...tools.map((tool) => `no ${tool}`)];
  if (missing.length > 0)
    throw new MeshError("SERVER_MISSING", `Pulsar cannot run here: ${missing.join(", ")}`, {
      hint,
    });
  if (isThere) return;
  await mkdir(dirname(pulsarHome), { recursive: true });
  // Beside the target, so that the rename is atomic: a run that is killed leaves nothing that looks complete.
  const aside = await mkdtemp(join(dirname(pulsarHome), ".pulsar-"));
  try {
    await fetchInto(aside, ports);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

function javaProblem(): string | undefined {
  const { status, stderr } = spawnSync("java", ["-version"], { encoding: "utf8" });
  if (status !== 0) return "no java";
  const major = Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0);
  return major < javaMin ? `Java ${javaMin} is needed, and java is ${major}` : undefined;
}

const answers = (command: string, arg: string): boolean =>
  spawnSync(command, [arg], { stdio: "ignore" }).status === 0;

async function fetchInto(aside: string, { tell, signal }: DownloadPorts): Promise<void> {
  const name = `Pulsar ${pulsarVersion}`;
  tell({ text: `${name}: downloading by Maven (245 MB, once)`, share: 0 });
  const onText = (text: string): void => {
    const [, done, all] = /.*Progress \(\d+\): ([\d.]+)\/(\d+) MB/s.exec(text) ?? [];
    if (done === undefined || all === undefined) return;
    tell({ text: `${name}: ${done} of ${all} MB`, share: Number(done) / Number(all) });
  };
  const copy = ["dependency:copy", `-Dartifact=${artifact}`, `-DoutputDirectory=${aside}`];
  await run({ command: "mvn", args: copy, onText }, aside, signal);
  const archive = (await readdir(aside)).find((file) => file.endsWith(".tar.gz"));
  if (archive === undefined)
    throw new MeshError("SERVER_MISSING", "Maven ended well and left no archive of Pulsar");
  tell({ text: `${name}: unpacking` });
  const unpacked = join(aside, "unpacked");
  await mkdir(unpacked);
  const place = ["xzf", join(aside, archive), "-C", unpacked, "--strip-components=1"];
  const args = [...place, ...unused.map((folder) => `--exclude=*/${folder}`)];
  await run({ command: "tar", args }, aside, signal);
  try {
    await rename(unpacked, pulsarHome);
  } catch (error) {
    // Another process was first.
    if (!existsSync(join(pulsarHome, "lib"))) throw error;
  }
}

function run({ command, args, onText }: Tool, cwd: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"], signal });
    let end = "";
    const listen = (chunk: Buffer): void => {
      end = `${end}${chunk.toString()}`.slice(-4_000);
      onText?.(end);
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.once("error", (cause) => reject(failed(command, signal, cause.message)));
    child.once("close", (code) => {
      const errors = end.match(/^.*(?:ERROR|tar:).*$/gm) ?? [];
      if (code === 0) resolve();
      else reject(failed(command, signal, errors.slice(0, 3).join("; ")));
    });
  });
}

function failed(command: string, signal: AbortSignal, why: string): MeshError {
  if (signal.aborted) return new MeshError("STOPPING", "The download was stopped");
  return new MeshError("SERVER_MISSING", `${command} could not get Pulsar: ${why}`, {
    hint: "Check that Maven reaches its repository, then try again; without --pulsar no server is needed.",
  });
}
