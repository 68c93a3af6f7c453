import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { MeshError } from "@fleetmesh/core";
import { writeFileDurably } from "../../durable-file.ts";
import type { PulsarPorts } from "./pulsar-command.ts";

/** One region's Pulsar on this machine: a cluster of one process. */
export interface PulsarPlace {
  /** Also the cluster's name. */
  readonly region: string;
  readonly dir: string;
  readonly ports: PulsarPorts;
  readonly serviceUrl: string;
  readonly adminUrl: string;
  readonly tenant: string;
  readonly namespace: string;
}

const host = "127.0.0.1";
const portsBelowMax = 1_000;
const portsFile = "ports.json";

/**
 * The regions' places, with the ports that they had before: a bookie does not take its data back at another address. New ones
 * get the first free ports from `firstPort` on. Throws PORT_TAKEN when none is free there.
 */
export async function pulsarPlaces(
  regions: readonly string[],
  dir: string,
  firstPort: number,
): Promise<PulsarPlace[]> {
  const kept = new Map<string, PulsarPorts>();
  for (const region of regions) {
    const ports = await keptPorts(join(dir, region));
    if (ports !== undefined) kept.set(region, ports);
  }
  for (const region of regions) {
    if (kept.has(region)) continue;
    const ports = await freshPorts([...kept.values()], firstPort);
    await mkdir(join(dir, region), { recursive: true });
    await writeFileDurably(join(dir, region, portsFile), JSON.stringify(ports));
    kept.set(region, ports);
  }
  return [...kept].map(([region, ports]) => ({
    ...{ region, dir: join(dir, region), ports, tenant: "fleetmesh", namespace: "mesh" },
    serviceUrl: `pulsar://${host}:${ports.broker}`,
    adminUrl: `http://${host}:${ports.web}`,
  }));
}

async function keptPorts(dir: string): Promise<PulsarPorts | undefined> {
  const file = join(dir, portsFile);
  return existsSync(file) ? (JSON.parse(await readFile(file, "utf8")) as PulsarPorts) : undefined;
}

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** Free now, and not kept for one that does not run yet. */
async function freshPorts(kept: readonly PulsarPorts[], first: number): Promise<PulsarPorts> {
  const known = new Set(kept.flatMap(({ broker, web, bookie }) => [broker, web, bookie]));
  const found: number[] = [];
  for (let port = first; port < first + portsBelowMax; port += 1) {
    if (!known.has(port) && (await isPortFree(port))) found.push(port);
    const [broker, web, bookie] = found;
    if (broker !== undefined && web !== undefined && bookie !== undefined)
      return { broker, web, bookie };
  }
  throw new MeshError("PORT_TAKEN", `No three ports from ${first} on are free for Pulsar`);
}
