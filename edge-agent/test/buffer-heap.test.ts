import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";

const at = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
/** Opens a buffer as a program does, then keeps much that is new. Prints how large the young generation has become. */
const program = (directory: string, wish: string): string => `
  import { getHeapSpaceStatistics } from "node:v8";
  import { keepHeapSmall } from ${at("../../core/dist/base.js")};
  ${wish}
  const { createLogger, systemChance, systemClock } = await import(${at("../../core/dist/index.js")});
  const { SqliteBuffer } = await import(${at("../dist/index.js")});
  const buffer = new SqliteBuffer({
    directory: ${JSON.stringify(directory)},
    agentId: "agent",
    limits: { bytesMax: 100_000_000, whenFull: "reject" },
    clock: systemClock,
    chance: systemChance,
    logger: createLogger({ part: "test", level: "silent" }),
  });
  await buffer.start();
  ${wish}
  const kept = [];
  while (kept.length < 500_000) kept.push({ at: kept.length });
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
  await buffer.stop(AbortSignal.timeout(5_000));
  console.log(space.space_size);
`;

describe("the heap of a program with a buffer", () => {
  let dir = "";
  afterEach(() => rm(dir, { recursive: true, force: true }));

  async function youngBytes(wish: string): Promise<number> {
    dir = await mkdtemp(join(tmpdir(), "fleetmesh-heap-"));
    const args = ["--input-type=module", "-e", program(join(dir, "buffer"), wish)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    return Number(stdout);
  }

  it("grows as V8 likes: the buffer's thread does not decide for the program", async () => {
    expect(await youngBytes("")).toBeGreaterThan(30_000_000);
  });

  it("stays small where the program wants it so", async () => {
    expect(await youngBytes("keepHeapSmall();")).toBeLessThan(4_000_000);
  });
});
