// Apache Pulsar for the tests: its server distribution from the Maven repository that Maven is configured with, unpacked once
// into the user's cache, where every checkout finds it (test/servers/pulsar-distribution.ts). Never fails: without it the tests
// that need it say so.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

const version = "4.0.8";
const artifact = `org.apache.pulsar:pulsar-server-distribution:${version}:tar.gz:bin`;
const servers = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"),
  "fleetmesh",
  "servers",
);
const home = join(servers, `pulsar-${version}`);
const timeoutMs = 900_000;
const sayEveryMs = 5_000;

export async function provisionPulsar() {
  if (existsSync(join(home, "lib"))) return;
  const missing = ["java", "mvn", "tar"].filter((command) => !isThere(command));
  if (missing.length > 0) {
    say(`not installed: ${missing.join(", ")} not found; it needs Java 17 and Maven`);
    return;
  }
  await mkdir(servers, { recursive: true });
  // Beside the target, so that the rename is atomic: a run that is killed leaves nothing that looks complete.
  const aside = await mkdtemp(join(servers, ".pulsar-"));
  try {
    await installInto(aside);
  } catch (error) {
    say(`not installed: ${error.message}`);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function installInto(aside) {
  say("downloading by Maven (245 MB, once) ...");
  const copy = ["dependency:copy", `-Dartifact=${artifact}`, `-DoutputDirectory=${aside}`];
  await watched("mvn", copy, aside);
  const archive = (await readdir(aside)).find((name) => name.endsWith(".tar.gz"));
  if (archive === undefined) throw new Error("Maven ended well but left no archive");
  say("unpacking ...");
  const unpacked = join(aside, "unpacked");
  await mkdir(unpacked);
  const unused = ["bin", "examples", "instances"].map((name) => `--exclude=*/${name}`);
  const tar = ["xzf", join(aside, archive), "-C", unpacked, "--strip-components=1", ...unused];
  await watched("tar", tar, aside);
  try {
    await rename(unpacked, home);
  } catch (error) {
    // Another run was first.
    if (!existsSync(join(home, "lib"))) throw error;
  }
  say(`is in ${home}`);
}

/** Runs a command; says at most every few seconds how far Maven is, and at the end of a failure what it said. */
function watched(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    let end = "";
    let lastSaidMs = performance.now();
    const listen = (chunk) => {
      end = `${end}${chunk}`.slice(-4_000);
      const progress = /.*Progress \(\d+\): ([\d.]+\/\d+ MB)/s.exec(end)?.[1];
      if (progress === undefined || performance.now() - lastSaidMs < sayEveryMs) return;
      lastSaidMs = performance.now();
      say(progress);
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      const errors = end.match(/^.*(?:ERROR|tar:).*$/gm) ?? [];
      if (code === 0) resolve();
      else reject(new Error(`${command} failed (${code ?? "time-out"})\n${errors.join("\n")}`));
    });
  });
}

function isThere(command) {
  return spawnSync("sh", ["-c", `command -v ${command}`], { stdio: "ignore" }).status === 0;
}

function say(text) {
  process.stderr.write(`Pulsar ${version}: ${text}\n`);
}
