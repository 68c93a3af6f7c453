import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { replayDrive, type TopicEvent } from "../src/index.ts";

const options = { pseudonym: "a", startMs: Date.UTC(2026, 0, 1) };
const recorded = fileURLToPath(new URL("../../../shared/data/obd-drives/", import.meta.url));

async function replayed(path: string): Promise<TopicEvent[]> {
  const events: TopicEvent[] = [];
  for await (const event of replayDrive(path, options)) events.push(event);
  return events;
}

async function replayedText(text: string): Promise<TopicEvent[]> {
  const folder = await mkdtemp(join(tmpdir(), "replay-"));
  try {
    await writeFile(join(folder, "drive.csv"), text);
    return await replayed(join(folder, "drive.csv"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe("a replayed drive", () => {
  it("keeps names and the spelling of numbers, one event a row, a second apart", async () => {
    const events = await replayedText('RPM (),NAME\n0.000000, x"y,\r\n-1.50,007\n');
    expect(events.map(({ event }) => Buffer.from(event.data ?? []).toString())).toEqual([
      '{"RPM":0.000000,"NAME":"x\\"y"}',
      '{"RPM":-1.50,"NAME":"007"}',
    ]);
    expect(events.map(({ event }) => event.time)).toEqual([
      "2026-01-01T00:00:00.000Z",
      "2026-01-01T00:00:01.000Z",
    ]);
  });

  it("names the row that does not fit its header", async () => {
    await expect(replayedText("A,B\n1,2\n1\n")).rejects.toThrow(
      /drive\.csv:3 does not have 2 fields/,
    );
  });

  it("reads the recorded drives whole", async ({ skip }) => {
    if (!existsSync(recorded)) skip("no folder of recorded drives beside the repository");
    const events = await replayed(join(recorded, "drive1.csv"));
    expect(events.length).toBe(2709);
    const data = JSON.parse(Buffer.from(events[100]?.event.data ?? []).toString()) as object;
    expect(Object.keys(data).length).toBe(27);
  });
});
