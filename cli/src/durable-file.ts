import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Writes a small private file so that a crash leaves the old one or the new one, never half of one. */
export async function writeFileDurably(file: string, text: string): Promise<void> {
  const next = `${file}.next`;
  const handle = await open(next, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(next, file);
  const directory = await open(dirname(file), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
