import { MeshError, parseConfig } from "@fleetmesh/core";
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { outputOf } from "../context.ts";
import { processKinds, type ProcessKind } from "../process-kind.ts";

export function addLint(program: Command): void {
  program
    .command("lint")
    .summary("check configuration files without starting anything")
    .argument("<files...>")
    .option(
      "--kind <kind>",
      `what the files configure: ${Object.keys(processKinds).join(", ")}; guessed when left out`,
    )
    .action(async (files: string[], options: { kind?: string }, command: Command) => {
      for (const file of files) {
        const text = await readText(file);
        const kind = options.kind === undefined ? guessKind(text, file) : kindNamed(options.kind);
        parseConfig((await processKinds[kind]()).schema, text, file);
        outputOf(command).note(`${file}: a valid ${kind} configuration`);
      }
    });
}

export function kindNamed(name: string): ProcessKind {
  if (name in processKinds) return name as ProcessKind;
  const known = Object.keys(processKinds).join(", ");
  throw new MeshError("USAGE", `There is no process "${name}"`, { hint: `Known: ${known}.` });
}

/** By the key that only this kind has. */
function guessKind(text: string, file: string): ProcessKind {
  const has = (key: string): boolean => new RegExp(`^${key}\\s*:`, "m").test(text);
  if (has("agentId")) return "edge";
  if (has("region")) return "runtime";
  if (has("regions")) return has("token") ? "panel" : "bridge";
  throw new MeshError("USAGE", `${file} does not say what it configures`, { hint: "Give --kind." });
}

async function readText(file: string): Promise<string> {
  return readFile(file, "utf8").catch((cause: unknown) => {
    throw new MeshError("CONFIG_UNREADABLE", `Cannot read ${file}`, { cause });
  });
}
