import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pulsarHome, pulsarVersion } from "../../cli/src/dev/pulsar/pulsar-distribution.ts";

/** Why no Pulsar can be started here, in the words of a skipped test; undefined if it can. */
export function pulsarMissing(): string | undefined {
  if (!existsSync(join(pulsarHome, "lib")))
    return `missing Pulsar ${pulsarVersion}: run "node scripts/provision.mjs", which needs Java 17 and Maven`;
  if (spawnSync("java", ["-version"], { stdio: "ignore" }).status !== 0) return "missing Java 17";
  return undefined;
}
