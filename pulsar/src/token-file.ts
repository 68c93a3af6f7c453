import { readFile } from "node:fs/promises";
import { MeshError, sleep, type Clock } from "@fleetmesh/core";

const readsMax = 5;
const rereadMs = 50;

/**
 * The token that the file holds now. Who renews it without renaming a new file into its place leaves it empty for a moment: an
 * empty one is read again before it counts. Errors: PULSAR_DENIED.
 */
export async function readTokenFile(file: string, clock: Clock): Promise<string> {
  for (let reads = 1; ; reads += 1) {
    const token = await textOf(file);
    if (token !== "") return token;
    if (reads === readsMax) throw new MeshError("PULSAR_DENIED", `The token file ${file} is empty`);
    await sleep(clock, rereadMs);
  }
}

async function textOf(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    throw new MeshError("PULSAR_DENIED", `The token file ${file} cannot be read`, { cause });
  }
}
