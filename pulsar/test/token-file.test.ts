import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SimulatedClock } from "@fleetmesh/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readTokenFile } from "../src/token-file.ts";

describe("a token in a file", () => {
  let dir: string;
  let file: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "fleetmesh-token-"));
    file = join(dir, "token");
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it("is waited for while the file is empty, as it is in the middle of a renewal", async () => {
    const clock = new SimulatedClock();
    const timer = vi.spyOn(clock, "setTimer");
    await writeFile(file, "");
    const token = readTokenFile(file, clock);
    await expect.poll(() => timer.mock.calls.length).toBe(1);
    await writeFile(file, "renewed\n");
    await clock.advance(50);
    expect(await token).toBe("renewed");
  });

  it("is refused, with the file's name, when the file stays empty or cannot be read", async () => {
    const clock = new SimulatedClock();
    await writeFile(file, "\n");
    let isOver = false;
    const token = readTokenFile(file, clock).finally(() => (isOver = true));
    token.catch(() => undefined);
    await expect.poll(() => clock.advance(50).then(() => isOver)).toBe(true);
    await expect(token).rejects.toMatchObject({
      kind: "PULSAR_DENIED",
      message: `The token file ${file} is empty`,
    });
    await rm(file);
    await expect(readTokenFile(file, clock)).rejects.toMatchObject({
      kind: "PULSAR_DENIED",
      message: `The token file ${file} cannot be read`,
    });
  });
});
