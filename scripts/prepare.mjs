// Installs and builds what is missing, and nothing else: the second run costs about a second.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
const marker = `${root}node_modules/.fleetmesh-lock`;

/** Runs a command with its output on stderr, so that stdout stays the caller's; exits with its code when it fails. */
export function run(command, args, { quiet = false } = {}) {
  const stdio = quiet ? ["ignore", "ignore", "pipe"] : ["ignore", 2, 2];
  const { status, error, stderr } = spawnSync(command, args, {
    cwd: root,
    stdio,
    encoding: "utf8",
  });
  if (status === 0) return;
  if (stderr) process.stderr.write(stderr);
  process.stderr.write(`${command} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}\n`);
  process.exit(status ?? 1);
}

function lockHash() {
  return createHash("sha256")
    .update(readFileSync(`${root}package-lock.json`))
    .update(process.version)
    .digest("hex");
}

function isInstalled() {
  return existsSync(marker) && readFileSync(marker, "utf8") === lockHash();
}

export function install() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    process.stderr.write(`Fleetmesh needs Node 20.19 or newer; this is ${process.version}.\n`);
    process.exit(1);
  }
  if (isInstalled()) return;
  process.stderr.write(
    "Installing dependencies (the first time SQLite is compiled: 1-3 minutes) ...\n",
  );
  run("npm", ["ci", "--no-fund", "--no-audit"]);
  writeFileSync(marker, lockHash());
}

export function build(projects = []) {
  run(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-b", ...projects]);
}
