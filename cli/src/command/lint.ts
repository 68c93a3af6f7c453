import { MeshError, parseConfig } from "@fleetmesh/core";
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { z } from "zod";
import { outputOf } from "../context.ts";
import { processKinds, type ProcessKind } from "../process-kind.ts";

export function addLint(program: Command): void {
  program
    .command("lint")
    .summary("check configuration files without starting anything")
    .argument("<files...>")
    .option(
      "--kind <kind>",
      `what the files configure: ${[...Object.keys(processKinds), "region"].join(", ")}; guessed when left out`,
    )
    .action(async (files: string[], options: { kind?: string }, command: Command) => {
      for (const file of files) {
        const text = await readText(file);
        const kind =
          options.kind === undefined ? guessKind(text, file) : lintKindNamed(options.kind);
        parseConfig(await schemaOf(kind), text, file);
        outputOf(command).note(`${file}: a valid ${kind} configuration`);
      }
    });
}

/** A file of a bridge's regionsDir configures no process of its own. */
type LintKind = ProcessKind | "region";

function lintKindNamed(name: string): LintKind {
  return name === "region" ? name : kindNamed(name);
}

async function schemaOf(kind: LintKind): Promise<z.ZodType> {
  if (kind !== "region") return (await processKinds[kind]()).schema;
  return (await import("@fleetmesh/bridge")).regionConfigSchema;
}

export function kindNamed(name: string): ProcessKind {
  if (name in processKinds) return name as ProcessKind;
  const known = Object.keys(processKinds).join(", ");
  throw new MeshError("USAGE", `There is no process "${name}"`, { hint: `Known: ${known}.` });
}

/** By the key that only this kind has. */
function guessKind(text: string, file: string): LintKind {
  const has = (key: string): boolean => new RegExp(`^${key}\\s*:`, "m").test(text);
  if (has("agentId")) return "edge";
  if (has("region")) return "runtime";
  if (has("regionsDir")) return "bridge";
  if (has("url")) return "region";
  if (has("regions")) return has("token") ? "panel" : "bridge";
  throw new MeshError("USAGE", `${file} does not say what it configures`, { hint: "Give --kind." });
}

async function readText(file: string): Promise<string> {
  return readFile(file, "utf8").catch((cause: unknown) => {
    throw new MeshError("CONFIG_UNREADABLE", `Cannot read ${file}`, { cause });
  });
}
