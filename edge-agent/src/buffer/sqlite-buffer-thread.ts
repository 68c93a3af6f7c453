import { createRequire } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type DatabaseClass from "better-sqlite3";
import { errorToData, keepThreadHeapSmall, MeshError, systemClock } from "@fleetmesh/core/base";
import { BufferDisk } from "./buffer-disk.ts";
import type { BufferReply, BufferRequest, BufferThreadSettings } from "./buffer-messages.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";
import { FreedMemory } from "./freed-memory.ts";
import { transferablesOf } from "./transferables.ts";

keepThreadHeapSmall();
// By `import`, Node would parse the driver once more for the names it exports: 4 MB that stay.
const Database = createRequire(import.meta.url)("better-sqlite3") as typeof DatabaseClass;

/** The thread on which a buffer's disk is waited for, so that fsync never stops the network's event loop. */
const port = parentPort;
if (!port) throw new MeshError("INTERNAL", "The buffer's thread was started as a program");

const tell = (reply: BufferReply): void => port.postMessage(reply);
const disk = new BufferDisk(workerData as BufferThreadSettings, {
  // A predecessor's lock is gone with it; the wait is for one that is just closing.
  connect: (file) => new Database(file, { timeout: 500 }) as SqliteConnection,
  clock: systemClock,
  onUnavailable: (reason) => tell({ kind: "unavailable", reason }),
  onDamaged: (reason) => tell({ kind: "damaged", reason }),
});

const freed = new FreedMemory();

function answer(request: BufferRequest): unknown {
  switch (request.kind) {
    case "append":
      return disk.append(request.units, request.nowMs, request.repeats);
    case "remember":
      disk.remember(request.identities);
      return undefined;
    case "read":
      return disk.read(request.query);
    case "acknowledge":
      disk.acknowledge(request.watermarks);
      return undefined;
    case "stats":
      return disk.stats();
    case "topics":
      return disk.topics();
    case "stop":
      disk.close();
      return undefined;
  }
}

function serve(request: BufferRequest): void {
  const { id } = request;
  try {
    const value = answer(request);
    port?.postMessage({ kind: "done", id, value } satisfies BufferReply, transferablesOf(value));
  } catch (error) {
    tell({ kind: "failed", id, error: errorToData(error) });
  }
  if (request.kind === "append") {
    disk.afterAppend();
    for (const unit of request.units) for (const { body } of unit) freed.add(body.length);
  }
  if (request.kind === "stop") port?.close();
}

try {
  const { agentId, epoch } = disk.open();
  port.on("message", (request: BufferRequest) => serve(request));
  tell({ kind: "opened", agentId, epoch, repeats: disk.repeats() });
} catch (error) {
  tell({ kind: "start-failed", error: errorToData(error) });
}
