import {
  closeSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { createRequire } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type DatabaseClass from "better-sqlite3";
import { errorToData, keepThreadHeapSmall, MeshError } from "@fleetmesh/core/base";
import { openSchema, pageBytes, readMeta, type BufferIdentity } from "./buffer-schema.ts";
import { readIdentityFile } from "./identity-file.ts";
import { renewalOf, syncDirectory, type QuarantineFolder } from "./quarantine.ts";
import { Renewal } from "./renewal.ts";
import { Salvage } from "./salvage.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";

keepThreadHeapSmall();
// By `import`, Node would parse the driver once more for the names it exports: 4 MB that stay.
const Database = createRequire(import.meta.url)("better-sqlite3") as typeof DatabaseClass;

const folder = workerData as QuarantineFolder;

try {
  parentPort?.postMessage({ report: salvageFolder() });
} catch (error) {
  parentPort?.postMessage({ error: errorToData(error) });
}

function salvageFolder(): unknown {
  const source = openDamaged();
  try {
    const identity = identityOf(source);
    mkdirSync(folder.draftFolder, { recursive: true });
    const target = connect(join(folder.draftFolder, "buffer.db"));
    const renewedAs = renewalOf(folder);
    const { epoch } = openSchema(target, identity, "full");
    // An earlier run may have come as far as the new epoch.
    const isRenewed = epoch !== identity.epoch;
    const report = isRenewed ? undefined : new Salvage(source, target).run();
    if (renewedAs !== undefined && !isRenewed) new Renewal(target).run(renewedAs);
    target.pragma("wal_checkpoint(TRUNCATE)");
    target.close();
    renameSync(folder.draftFolder, folder.salvageFolder);
    syncDirectory(dirname(folder.salvageFolder));
    return { ...report, agentId: identity.agentId, epoch: renewedAs ?? identity.epoch };
  } finally {
    source.close();
  }
}

function connect(file: string): SqliteConnection {
  return new Database(file, { timeout: 2_000 }) as SqliteConnection;
}

/** Opens the damaged file; with the first page of a fresh one when its own says nothing any more. */
function openDamaged(): SqliteConnection {
  const file = folder.damagedFile;
  try {
    return openReadable(file);
  } catch {
    graftFirstPage(file);
    return openReadable(file);
  }
}

function openReadable(file: string): SqliteConnection {
  const db = connect(file);
  try {
    db.pragma("locking_mode = EXCLUSIVE");
    db.pragma("cell_size_check = ON");
    db.prepare("SELECT max(id) FROM block");
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** The schema is laid out the same in every file, so the first page of a new one finds the tables of an old one. */
function graftFirstPage(file: string): void {
  const fresh = `${file}.fresh`;
  rmSync(fresh, { force: true });
  const db = connect(fresh);
  openSchema(db, { agentId: "", epoch: "" }, "off");
  db.close();
  const page = Buffer.alloc(pageBytes);
  const from = openSync(fresh, "r");
  readSync(from, page, 0, pageBytes, 0);
  closeSync(from);
  rmSync(fresh, { force: true });
  // SQLite file format 1.3: size in pages, then the list of free pages (none is known any more).
  page.writeUInt32BE(Math.floor(statSync(file).size / pageBytes), 28);
  page.writeUInt32BE(0, 32);
  page.writeUInt32BE(0, 36);
  page.copy(page, 92, 24, 28);
  const to = openSync(file, "r+");
  writeSync(to, page, 0, pageBytes, 0);
  closeSync(to);
}

function identityOf(source: SqliteConnection): BufferIdentity {
  const beside = readIdentityFile(folder.damagedFile);
  if (beside) return beside;
  try {
    const agentId = readMeta(source, "agentId");
    const epoch = readMeta(source, "epoch");
    if (agentId !== undefined && epoch !== undefined) return { agentId, epoch };
  } catch {
    // Told below.
  }
  throw new MeshError("BUFFER_DAMAGED", `Nothing says whose events are in ${folder.damagedFile}`);
}
