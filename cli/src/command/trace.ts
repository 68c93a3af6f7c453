import type { Command } from "commander";
import { clientOf, outputOf } from "../context.ts";

export function addTrace(program: Command): void {
  program
    .command("trace")
    .summary("show what happened to an event")
    .description(
      "Show the way of an event: where it entered, where it is stored, what each subscription decided and did.",
    )
    .argument("<event-id>")
    .option("--source <uri>", "only the event of this source")
    .action(async (id: string, options: { source?: string }, command: Command) => {
      const client = clientOf(command);
      const answer =
        options.source === undefined
          ? await client.json(`/v1/events?id=${encodeURIComponent(id)}`)
          : await client.json(tracePath(options.source, id));
      outputOf(command).one(answer);
    });
}

function tracePath(source: string, id: string): string {
  return `/v1/events/${encodeURIComponent(source)}/${encodeURIComponent(id)}/trace`;
}
