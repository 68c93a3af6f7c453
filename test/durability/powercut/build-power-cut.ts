import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";

const source = join(import.meta.dirname, "powercut.c");
const cache = join(import.meta.dirname, "..", "..", "..", ".cache");

export type PowerCutLibrary = { readonly file: string } | { readonly missing: string };

/** Compiles the library once for each version of its source; says why when this machine cannot. */
export function buildPowerCut(): PowerCutLibrary {
  if (process.platform !== "linux") return { missing: "the power-cut layer needs Linux" };
  const hash = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16);
  const file = join(cache, `powercut-${hash}-${process.arch}.so`);
  if (existsSync(file)) return { file };
  mkdirSync(cache, { recursive: true });
  const draft = `${file}.${process.pid}`;
  const flags = ["-O2", "-fPIC", "-shared", "-o", draft, source, "-ldl", "-lpthread"];
  try {
    execFileSync(process.env["CC"] ?? "cc", flags, { stdio: ["ignore", "ignore", "pipe"] });
  } catch (cause) {
    const text = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    return { missing: `no C compiler could build the power-cut layer: ${text ?? ""}` };
  }
  renameSync(draft, file);
  return { file };
}
