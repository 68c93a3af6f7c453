import { MeshError } from "@fleetmesh/core";
import { CommanderError } from "commander";
import { exitCode, exitCodeOf } from "./exit-code.ts";
import { Output } from "./output.ts";
import { createProgram } from "./program.ts";

/** Does what the command line says; a failure is told on stderr and becomes the exit code. */
export async function runCommand(argv: readonly string[]): Promise<void> {
  // A reader such as `head` that went away is the end of the work, not a failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitCode.ok);
    throw error;
  });
  try {
    await createProgram().parseAsync(argv);
  } catch (thrown) {
    tell(thrown);
  }
}

function tell(thrown: unknown): void {
  if (thrown instanceof CommanderError) {
    process.exitCode = thrown.exitCode === 0 ? exitCode.ok : exitCode.usage;
    return;
  }
  const error = MeshError.from(thrown);
  new Output("table", process.stderr.isTTY).error(error);
  if (error.kind === "INTERNAL" && thrown instanceof Error)
    process.stderr.write(`${thrown.stack ?? ""}\n`);
  process.exitCode = exitCodeOf(error);
}
