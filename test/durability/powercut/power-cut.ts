import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { seededChance } from "@fleetmesh/core";
import { buildPowerCut } from "./build-power-cut.ts";
import { readDisk, rebuildDisk, type CutReport } from "./rebuild-disk.ts";

export interface PowerCutOptions {
  /** A plain JavaScript file, run by this Node. */
  readonly script: string;
  readonly args?: readonly string[];
  /** What the program writes under here is at stake; all of it counts as synced when the program starts. */
  readonly directory: string;
  /** Killed behind so many durable steps since it made a file `armed` there; absent = when told. */
  readonly step?: number;
}

export interface PowerCutRun {
  readonly child: ChildProcess;
  /** Resolves when it has ended, by whatever hand. */
  readonly ended: Promise<unknown>;
  /** What the program wrote to stdout so far. It goes to a file outside the directory and outlives the cut. */
  output(): string;
  /** What it wrote to stderr so far. */
  errors(): string;
  /** Kills the program and leaves in the directory what a disk could hold then; the seed chooses what. */
  cut(seed: number): Promise<CutReport>;
}

/** Why there can be no power cuts on this machine; undefined when there can. */
export function powerCutMissing(): string | undefined {
  const library = buildPowerCut();
  return "missing" in library ? library.missing : undefined;
}

/** Starts a program whose writes are recorded: `cut` then takes the power away, in a way that the seed repeats. */
export function startUnderPowerCut(options: PowerCutOptions): PowerCutRun {
  const library = buildPowerCut();
  if ("missing" in library) throw new Error(library.missing);
  mkdirSync(options.directory, { recursive: true });
  const directory = realpathSync(options.directory);
  const before = readDisk(directory);
  const side = (kind: string): string => `${directory}.${kind}`;
  for (const kind of ["journal", "output", "errors"]) rmSync(side(kind), { force: true });
  const stdout = openSync(side("output"), "a");
  const stderr = openSync(side("errors"), "a");
  const child = spawn(process.execPath, [options.script, ...(options.args ?? [])], {
    stdio: ["ignore", stdout, stderr],
    env: {
      ...process.env,
      NODE_OPTIONS: "",
      LD_PRELOAD: library.file,
      POWERCUT_DIR: directory,
      POWERCUT_JOURNAL: side("journal"),
      ...(options.step === undefined ? {} : { POWERCUT_STEP: String(options.step) }),
    },
  });
  closeSync(stdout);
  closeSync(stderr);
  const exited = once(child, "exit");
  return {
    child,
    ended: exited,
    output: () => textOf(side("output")),
    errors: () => textOf(side("errors")),
    async cut(seed) {
      child.kill("SIGKILL");
      await exited;
      const chance = seededChance(seed);
      const report = rebuildDisk(directory, before, { journal: bytesOf(side("journal")), chance });
      rmSync(side("journal"), { force: true });
      return report;
    },
  };
}

function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    // Killed before it touched anything.
    return Buffer.alloc(0);
  }
}

function textOf(file: string): string {
  return bytesOf(file).toString("utf8");
}
