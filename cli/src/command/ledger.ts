import type { Command } from "commander";
import { clientOf, outputOf } from "../context.ts";

export function addLedger(program: Command): void {
  program
    .command("ledger")
    .summary("show that nothing is lost: what came in against where it is")
    .action(async (_options: unknown, command: Command) => {
      outputOf(command).one(await clientOf(command).json("/v1/ledger"));
    });
}
