import { mkdir, readFile } from "node:fs/promises";
import {
  regionConfigSchema,
  regionDigest,
  regionProblems,
  type RegionStatus,
} from "@fleetmesh/bridge";
import { MeshError, parseConfig } from "@fleetmesh/core";
import { writeFileDurably } from "../durable-file.ts";
import type { BridgePlace } from "./bridge-place.ts";
import { until } from "./until.ts";

export interface JoinOptions {
  readonly file: string;
  /** How one that is there already is reached may be changed. */
  readonly replace: boolean;
  readonly waitMs: number;
}

/**
 * Puts a region's file where the bridge finds it, and waits until the region answered the bridge. Doing it again is no harm: the
 * same file is waited for, nothing else.
 * Errors: CONFIG_INVALID, CONFIG_UNREADABLE, REGION_EXISTS, UNREACHABLE (the bridge, or the region for the bridge).
 */
export async function joinRegion(place: BridgePlace, options: JoinOptions): Promise<RegionStatus> {
  const text = await readText(options.file);
  const region = parseConfig(regionConfigSchema, text, options.file);
  // Asked before anything is changed: a bridge that does not run or lets nobody in is found out now.
  await place.regions();
  const [problem] = regionProblems(region, place.config.regions);
  if (problem?.[0] === "name")
    throw new MeshError("REGION_EXISTS", `"${region.name}" is in the bridge's own configuration`);
  if (problem) throw new MeshError("CONFIG_INVALID", `${options.file}: ${problem.join(": ")}`);
  const target = place.fileOf(region.name);
  const before = await readText(target).catch(() => undefined);
  if (before !== undefined && before !== text && !options.replace)
    throw new MeshError("REGION_EXISTS", `${target} says something else`);
  await mkdir(place.dir, { recursive: true });
  await writeFileDurably(target, text);
  return taken(place, { name: region.name, digest: regionDigest(text), waitMs: options.waitMs });
}

async function taken(
  place: BridgePlace,
  { name, digest, waitMs }: { name: string; digest: string; waitMs: number },
): Promise<RegionStatus> {
  let last: RegionStatus | undefined;
  const joined = await until(waitMs, async () => {
    last = (await place.regions()).find((region) => region.digest === digest);
    if (last?.state === "invalid") throw new MeshError("CONFIG_INVALID", last.reason ?? name);
    return last?.state === "joined" ? last : undefined;
  });
  if (joined) return joined;
  const why =
    last === undefined
      ? `The bridge has not taken up ${place.fileOf(name)} yet`
      : `The bridge has taken up "${name}", and it does not answer: ${last.reason ?? last.state}`;
  throw new MeshError("UNREACHABLE", why, {
    hint: "The file stays: the bridge goes on trying. `mesh region leave` takes it away.",
  });
}

async function readText(file: string): Promise<string> {
  return readFile(file, "utf8").catch((cause: unknown) => {
    throw new MeshError("CONFIG_UNREADABLE", `Cannot read ${file}`, { cause });
  });
}
