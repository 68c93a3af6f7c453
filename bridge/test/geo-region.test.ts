import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SimulatedClock } from "@fleetmesh/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openGeoRegion, type GeoRegion } from "../src/geo/geo-region.ts";

const at = { adminUrl: "http://127.0.0.1:9", brokerUrl: "pulsar://127.0.0.1:9" };
const place = { ...at, cluster: "east", tenant: "fleetmesh", namespace: "mesh" };

describe("a region's Pulsar, as the bridge sees it", () => {
  let dir: string;
  let file: string;
  let region: GeoRegion | undefined;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "fleetmesh-geo-"));
    file = join(dir, "token");
  });
  afterEach(async () => {
    await region?.close();
    await rm(dir, { recursive: true, force: true });
  });

  it("tells the other clusters the token that is in the file by now, not the nothing of a file that is just being written", async () => {
    const clock = new SimulatedClock();
    const timer = vi.spyOn(clock, "setTimer");
    await writeFile(file, "");
    region = openGeoRegion("east", { ...place, reach: { ...at, tokenFile: file } }, clock);
    const address = region.address();
    await expect.poll(() => timer.mock.calls.length).toBe(1);
    await writeFile(file, "renewed\n");
    await clock.advance(50);
    expect(await address).toEqual({ ...at, token: "renewed" });
    await writeFile(file, "again");
    expect(await region.address()).toEqual({ ...at, token: "again" });
  });

  it("says which file cannot be read", async () => {
    const reach = { ...at, tokenFile: file };
    region = openGeoRegion("east", { ...place, reach }, new SimulatedClock());
    const message = `The token file ${file} cannot be read`;
    await expect(region.address()).rejects.toMatchObject({ kind: "PULSAR_DENIED", message });
  });

  it("has no token where none is configured", async () => {
    region = openGeoRegion("east", { ...place, reach: at }, new SimulatedClock());
    expect(await region.address()).toEqual({ ...at, token: undefined });
  });
});
