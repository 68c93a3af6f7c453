// What the tests want from the system besides Node: foreign MQTT clients and an Apache Pulsar. Installed where that is possible
// without asking; a test whose tool is missing is skipped with the reason, and fails when CI=true.
// As a command: node scripts/provision.mjs [--no-pulsar]
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { provisionPulsar } from "./provision-pulsar.mjs";

const tools = [{ command: "mosquitto_pub", package: "mosquitto-clients" }];

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  provisionPackages();
  if (!process.argv.includes("--no-pulsar")) await provisionPulsar();
}

function provisionPackages() {
  const wanted = tools.filter(({ command }) => !isThere(command)).map((tool) => tool.package);
  if (wanted.length === 0 || !isThere("apt-get") || process.getuid?.() !== 0) return;
  process.stderr.write(`Installing ${wanted.join(", ")} ...\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (args) =>
    spawnSync("apt-get", ["-qq", ...args], {
      stdio: ["ignore", "ignore", 2],
      env,
      timeout: 240_000,
    });
  apt(["update"]);
  apt(["install", "-y", "--no-install-recommends", ...wanted]);
}

function isThere(command) {
  return spawnSync("sh", ["-c", `command -v ${command}`], { stdio: "ignore" }).status === 0;
}
