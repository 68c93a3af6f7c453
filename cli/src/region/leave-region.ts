import { readFile, unlink } from "node:fs/promises";
import type { LinkStatus } from "@fleetmesh/bridge";
import { MeshError, systemClock } from "@fleetmesh/core";
import { writeFileDurably } from "../durable-file.ts";
import type { BridgePlace } from "./bridge-place.ts";
import { until } from "./until.ts";

export interface LeaveOptions {
  readonly name: string;
  /** Without waiting for what is on its way, and without asking what cannot be reached. */
  readonly force: boolean;
  readonly waitMs: number;
  readonly drainMs: number;
  readonly tell: (progress: string) => void;
}

/**
 * Takes a region out of the mesh: waits until what is on its way from and to it has arrived, has the bridge withdraw everything,
 * and removes its file. May be ended anywhere and begun again.
 * Errors: REGION_UNKNOWN, REGION_EXISTS (it is in the bridge's own configuration), UNREACHABLE when the time is over.
 */
export async function leaveRegion(place: BridgePlace, options: LeaveOptions): Promise<void> {
  const { name, force } = options;
  const file = place.fileOf(name);
  if (place.config.regions.some((region) => region.name === name))
    throw new MeshError("REGION_EXISTS", `"${name}" is in the bridge's own configuration`, {
      hint: "Take it out of `regions` there and restart the bridge.",
    });
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new MeshError("REGION_UNKNOWN", `There is no ${file}`, { cause });
  });
  const isLeaving = /^leaving:\s*true/m.test(text);
  if (!force && !isLeaving) await drain(place, options);
  if (!isLeaving) await writeFileDurably(file, withLeaving(text));
  await withdrawn(place, options);
  await unlink(file);
  await until(options.waitMs, async () => ((await isKnown(place, name)) ? undefined : true));
}

function withLeaving(text: string): string {
  const rest = text.replace(/^leaving:.*\n?/m, "");
  return `${rest}${rest.endsWith("\n") || rest === "" ? "" : "\n"}leaving: true\n`;
}

async function drain(place: BridgePlace, { name, drainMs, tell }: LeaveOptions): Promise<void> {
  const beganMs = systemClock.monotonicMs();
  let told = "";
  const isDrained = await until(drainMs, async () => {
    const elapsedSeconds = (systemClock.monotonicMs() - beganMs) / 1_000;
    const behind = (await place.links())
      .filter(({ from, to }) => from === name || to === name)
      .filter((link) => !isEmpty(link, elapsedSeconds));
    const progress = behind.map(progressOf).join(", ");
    if (progress !== told && progress !== "") tell(`Waiting for ${progress}`);
    told = progress;
    return behind.length === 0 ? true : undefined;
  });
  if (isDrained) return;
  throw new MeshError("UNREACHABLE", `Not everything has arrived: ${told}`, {
    hint: "Stop what publishes there, mend what is in the way, or give --force and leave it behind.",
  });
}

/** Seen to be empty since the command began. */
function isEmpty(
  { kind, state, lagSeconds, backlog, ageSeconds }: LinkStatus,
  elapsedSeconds: number,
) {
  if (kind === "embedded") return state === "up" && lagSeconds === 0;
  return state === "up" && backlog === 0 && (ageSeconds ?? Infinity) < elapsedSeconds;
}

function progressOf({ from, to, topic, state, lagSeconds, backlog }: LinkStatus): string {
  const behind = backlog === undefined ? `${Math.ceil(lagSeconds)} s` : `${backlog} entries`;
  return `${topic} from ${from} to ${to} (${state}, ${behind} behind)`;
}

async function withdrawn(place: BridgePlace, options: LeaveOptions): Promise<void> {
  const { name, force, waitMs, tell } = options;
  const hasLeft = await until(waitMs, async () => {
    const region = (await place.regions()).find((each) => each.name === name);
    return region === undefined || region.state === "left" ? true : undefined;
  });
  if (hasLeft) return;
  const why = "The bridge has not withdrawn everything: some region's Pulsar does not answer";
  if (!force)
    throw new MeshError("UNREACHABLE", why, {
      hint: "Run the command again when it does; --force leaves its settings there as they are.",
    });
  tell(`${why}; what is set there stays.`);
}

async function isKnown(place: BridgePlace, name: string): Promise<boolean> {
  return (await place.regions()).some((region) => region.name === name);
}
