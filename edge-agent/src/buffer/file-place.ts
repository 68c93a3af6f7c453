import { readFileSync, statSync } from "node:fs";
import { MeshError } from "@fleetmesh/core/base";
import { readMeta, writeMeta } from "./buffer-schema.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";

/** What tells one machine from another where nobody asks for a name: systemd's id, and the board's own on ARM gateways. */
const machineFiles = ["/etc/machine-id", "/proc/device-tree/serial-number"] as const;

/**
 * Remembers in the file where it was made, and refuses to go on in a copy of it: a copied or restored buffer would give out
 * numbers that the other one gives out too. A file is told from its copy by its inode, its birth and the machine. What takes
 * a file for a copy by mistake costs a new epoch and nothing else.
 * Throws BUFFER_DAMAGED: what is in the copy is then drained under its old identity, and nothing is appended to it.
 */
export function assertOwnPlace(db: SqliteConnection, file: string): void {
  const place = placeOf(file);
  const known = readMeta(db, "place");
  if (known === undefined) writeMeta(db, "place", place);
  else if (known !== place) {
    throw new MeshError("BUFFER_DAMAGED", `${file} is a copy of a buffer that was made elsewhere`);
  }
}

function placeOf(file: string): string {
  const { ino, birthtimeNs } = statSync(file, { bigint: true });
  return [ino, birthtimeNs, ...machineFiles.map(textOf)].join("/");
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8").replace(/[^\w-]/g, "");
  } catch {
    return "";
  }
}
