import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import type { BufferLimits, EventBuffer } from "@fleetmesh/edge-agent";

export interface BufferUnderTest {
  /** Opens a buffer on the folder; again on the same folder, it finds what was stored. */
  open(directory: string, limits: BufferLimits): EventBuffer;
  /** Ends it without saying goodbye and returns it, or another on the same folder, not started. */
  reopen(buffer: EventBuffer, directory: string, limits: BufferLimits): Promise<EventBuffer>;
}

export const roomy: BufferLimits = { bytesMax: 64 * 1024 * 1024, whenFull: "reject" };
export const small: BufferLimits = { bytesMax: 512 * 1024, whenFull: "evict-lowest-class" };

export interface BufferFixture {
  readonly directory: () => string;
  readonly open: (limits?: BufferLimits) => Promise<EventBuffer>;
  readonly reopen: (buffer: EventBuffer, limits?: BufferLimits) => Promise<EventBuffer>;
}

/** A folder for each test of the suite that calls it, and buffers in it that are started, and stopped at its end. */
export function bufferFixture(kind: BufferUnderTest): BufferFixture {
  let directory = "";
  let opened: EventBuffer[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "fleetmesh-buffer-"));
    opened = [];
  });
  afterEach(async () => {
    for (const buffer of opened) await buffer.stop(AbortSignal.timeout(5_000));
    await rm(directory, { recursive: true, force: true });
  });

  return {
    directory: () => directory,
    async open(limits = roomy) {
      const buffer = kind.open(directory, limits);
      opened.push(buffer);
      await buffer.start();
      return buffer;
    },
    async reopen(buffer, limits = roomy) {
      const next = await kind.reopen(buffer, directory, limits);
      if (next !== buffer) opened.push(next);
      await next.start();
      return next;
    },
  };
}
