import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median } from "./bench.ts";

const page = Buffer.alloc(4096, 1);

/** Milliseconds to append 4 KiB to a file and sync it: what a durable acknowledgement costs at least on this machine. */
export function fsyncMillis(): number {
  const directory = mkdtempSync(join(tmpdir(), "fleetmesh-fsync-"));
  const file = openSync(join(directory, "probe"), "a");
  const times = Array.from({ length: 100 }, () => {
    const startedMs = performance.now();
    writeSync(file, page);
    fsyncSync(file);
    return performance.now() - startedMs;
  });
  closeSync(file);
  rmSync(directory, { recursive: true });
  return median(times);
}
