import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findQuarantined, quarantine, renewalOf } from "../src/buffer/quarantine.ts";

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "fleetmesh-quarantine-"))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function put(name: string, text: string): void {
  writeFileSync(join(directory, name), text);
}

describe("quarantine", () => {
  it("moves a file with its log and its identity aside, and leaves no note of the move", () => {
    for (const side of ["", "-wal", "-identity", "-shm"]) put(`buffer.db${side}`, side);
    const folder = quarantine(join(directory, "buffer.db"), 7, "00000000000000aa");
    expect(readdirSync(directory).sort()).toEqual([
      "buffer.db.damaged-7",
      "buffer.db.damaged-7-identity",
      "buffer.db.damaged-7-renewal",
      "buffer.db.damaged-7-wal",
    ]);
    expect(findQuarantined(directory)).toEqual([folder]);
    expect(renewalOf(folder)).toBe("00000000000000aa");
  });

  it("finishes a move of which a crash left the file without its log behind", () => {
    put("buffer.db", "database");
    put("buffer.db-moving", "7");
    put("buffer.db.damaged-7-wal", "log");
    expect(findQuarantined(directory).map(({ mark }) => mark)).toEqual([7]);
    expect(readFileSync(join(directory, "buffer.db.damaged-7"), "utf8")).toBe("database");
    expect(readdirSync(directory)).toHaveLength(2);
  });

  it("goes on under the same mark when a move that failed on the way is tried again", () => {
    put("buffer.db", "database");
    put("buffer.db-moving", "7");
    put("buffer.db.damaged-7-wal", "log");
    expect(quarantine(join(directory, "buffer.db"), 99).mark).toBe(7);
  });

  it("leaves the file in its place when the crash tore the note: nothing was moved yet", () => {
    put("buffer.db", "database");
    put("buffer.db-moving", "");
    expect(findQuarantined(directory)).toEqual([]);
    expect(readdirSync(directory)).toContain("buffer.db");
  });
});
