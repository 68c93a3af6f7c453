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

/**
 * The regions' places, with the ports that they had before: a bookie does not take its data back at another address. New ones
 * get the first free ports from `firstPort` on. Throws PORT_TAKEN when none is free there.
 */
export async function pulsarPlaces(
  regions: readonly string[],
  dir: string,
  firstPort: number,
): Promise<PulsarPlace[]> {
  const places: PulsarPlace[] = [];
  let next = firstPort;
  for (const region of regions) {
    const own = join(dir, region);
    const file = join(own, "ports.json");
    await mkdir(own, { recursive: true });
    if (!existsSync(file)) {
      const [broker, web, bookie] = [
        (next = await freePortFrom(next, firstPort)),
        (next = await freePortFrom(next + 1, firstPort)),
        (next = await freePortFrom(next + 1, firstPort)),
      ];
      next += 1;
      await writeFileDurably(file, JSON.stringify({ broker, web, bookie }));
    }
    const ports = JSON.parse(await readFile(file, "utf8")) as PulsarPorts;
    places.push({
      ...{ region, dir: own, ports, tenant: "fleetmesh", namespace: "mesh" },
      serviceUrl: `pulsar://${host}:${ports.broker}`,
      adminUrl: `http://${host}:${ports.web}`,
    });
  }
  return places;
}

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

async function freePortFrom(from: number, first: number): Promise<number> {
  for (let port = from; port < first + portsBelowMax; port += 1)
    if (await isPortFree(port)) return port;
  throw new MeshError("PORT_TAKEN", `No port from ${first} on is free for Pulsar`);
}
