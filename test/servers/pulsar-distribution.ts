import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export const pulsarVersion = "4.0.8";

/** Where `npm test` (scripts/provision.mjs) unpacks Pulsar, outside the checkout. */
export const pulsarHome = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "fleetmesh",
  "servers",
  `pulsar-${pulsarVersion}`,
);

/** Why no Pulsar can be started here, in the words of a skipped test; undefined if it can. */
export function pulsarMissing(): string | undefined {
  if (!existsSync(join(pulsarHome, "lib")))
    return `missing Pulsar ${pulsarVersion}: run "node scripts/provision.mjs", which needs Java 17 and Maven`;
  if (spawnSync("java", ["-version"], { stdio: "ignore" }).status !== 0) return "missing Java 17";
  return undefined;
}
