import { createServer } from "node:net";

/** Below the range from which the system takes ports for outgoing connections: one of those could take the port of a server that is dead for a moment. */
const first = 20_000;
/** The test runner's workers are told apart by a number: two of them must not find the same port free at the same time. */
const worker = Number(process.env["VITEST_POOL_ID"] ?? 0) % 3;
const portsPerWorker = 4_000;
const given = new Set<number>();

/** Any of this worker's ports with so many behind it. */
export function anyPort(span: number): number {
  return first + worker * portsPerWorker + Math.floor(Math.random() * (portsPerWorker - span));
}

/** Ports that are free on loopback now, and given to nobody else in this run of the tests. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const port = anyPort(1);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) found.push(port);
  }
  return found;
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
