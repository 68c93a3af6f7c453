import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import type { BufferIdentity } from "./buffer-schema.ts";
import { syncDirectory } from "./quarantine.ts";

/** The identity beside the database, so that events can be salvaged under it when the page that holds it is gone. */
export function readIdentityFile(file: string): BufferIdentity | undefined {
  try {
    const parsed = JSON.parse(readFileSync(`${file}-identity`, "utf8")) as Partial<BufferIdentity>;
    const { agentId, epoch } = parsed;
    return agentId === undefined || epoch === undefined ? undefined : { agentId, epoch };
  } catch {
    return undefined;
  }
}

/** Written once for each epoch, durably, by rename. */
export function writeIdentityFile(file: string, identity: BufferIdentity): void {
  const known = readIdentityFile(file);
  if (known?.epoch === identity.epoch && known.agentId === identity.agentId) return;
  replaceDurably(`${file}-identity`, JSON.stringify(identity));
}

/** The file has the old text or the new one, whatever crashes; the new one when this returns. */
export function replaceDurably(file: string, text: string): void {
  const draft = `${file}.part`;
  const handle = openSync(draft, "w");
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(draft, file);
  syncDirectory(dirname(file));
}
