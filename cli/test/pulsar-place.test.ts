import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { pulsarPlaces } from "../src/dev/pulsar/pulsar-place.ts";

function listen(): Promise<Server> {
  const server = createServer();
  onTestFinished(() => void server.close());
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

it("A region's Pulsar keeps the ports that it began with, and passes over those that are taken", async () => {
  const dir = await mkdtemp(join(tmpdir(), "fleetmesh-place-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const { port } = (await listen()).address() as AddressInfo;
  const [east, west] = await pulsarPlaces(["east", "west"], dir, port);
  const ports = [east, west].flatMap((place) => Object.values(place?.ports ?? {}) as number[]);
  expect(new Set(ports).size).toBe(6);
  expect(Math.min(...ports)).toBeGreaterThan(port);
  expect(east).toMatchObject({ region: "east", adminUrl: `http://127.0.0.1:${east?.ports.web}` });
  const again = await pulsarPlaces(["north", "west", "east"], dir, port);
  expect(again).toEqual(expect.arrayContaining([east, west]));
  const all = again.flatMap((place) => [place.ports.broker, place.ports.web, place.ports.bookie]);
  expect(new Set(all).size).toBe(9);
});
