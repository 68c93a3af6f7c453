import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { encodeStructured, MeshError } from "@fleetmesh/core";
import type { UndeliverableEvent } from "../uplink/undeliverable-event.ts";

const bytesMax = 64 * 1024 * 1024;
const countMax = 1_000;

/**
 * A folder with the events that no message could carry to the region, one file each, for people: why, and the event as a
 * structured CloudEvent in base64, byte for byte. Bounded: the oldest go first.
 * Errors: BUFFER_UNAVAILABLE when the disk does not take it now.
 */
export class AsideFolder {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Resolves when it is durable. The same event again replaces the file. */
  async keep(given: UndeliverableEvent): Promise<void> {
    const { epoch, eventClass, entry } = given;
    const file = join(this.#directory, `${epoch}-${eventClass}-${entry.sequence}.json`);
    try {
      await mkdir(this.#directory, { recursive: true });
      await writeDurably(file, textOf(given));
      await syncFolder(this.#directory);
      await this.#removeOldest();
    } catch (cause) {
      const text = "An event that cannot be sent cannot be kept aside";
      throw new MeshError("BUFFER_UNAVAILABLE", text, { cause });
    }
  }

  async #removeOldest(): Promise<void> {
    const names = (await readdir(this.#directory)).filter((name) => name.endsWith(".json"));
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#directory, name);
        const { size, mtimeMs } = await stat(path);
        return { path, size, mtimeMs };
      }),
    );
    files.sort((one, other) => other.mtimeMs - one.mtimeMs);
    let kept = 0;
    for (const [at, { path, size }] of files.entries()) {
      kept += size;
      if (at > 0 && (at >= countMax || kept > bytesMax)) await rm(path, { force: true });
    }
  }
}

function textOf({ entry, ...about }: UndeliverableEvent): string {
  const { topic, sequence, receivedMs, event } = entry;
  const bytes = Buffer.from(encodedOrEmpty(event)).toString("base64");
  return `${JSON.stringify({ ...about, topic, sequence, receivedMs, event: bytes })}\n`;
}

/** What no codec can write is kept as far as JSON goes. */
function encodedOrEmpty(event: UndeliverableEvent["entry"]["event"]): Uint8Array {
  try {
    return encodeStructured(event);
  } catch {
    const data = event.data && Buffer.from(event.data).toString("base64");
    return Buffer.from(JSON.stringify({ ...event, data }));
  }
}

async function writeDurably(file: string, text: string): Promise<void> {
  const draft = `${file}.part`;
  const handle = await open(draft, "w");
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
}

async function syncFolder(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
