import type { Command } from "commander";
import { clientOf, outputOf } from "../context.ts";

interface SelectOptions {
  readonly subscription?: string;
  readonly topic?: string;
  readonly limit?: string;
}

export function addDeadLetter(program: Command): void {
  const group = program
    .command("dead-letter")
    .alias("dlq")
    .description("events that a target would not take");
  group
    .command("ls")
    .description("list dead letters, oldest first")
    .option("--subscription <id>")
    .option("--topic <topic>")
    .option("--limit <count>", "at most this many", "100")
    .action(async (options: SelectOptions, command: Command) => {
      const answer = (await clientOf(command).json(`/v1/dead-letters?${query(options)}`)) as {
        deadLetters: Record<string, unknown>[];
      };
      outputOf(command).list(answer.deadLetters, ["id", "subscription", "topic", "reason", "at"]);
    });
  group
    .command("show")
    .description("show one dead letter with its attempts")
    .argument("<id>")
    .action(async (id: string, _options: unknown, command: Command) => {
      outputOf(command).one(
        await clientOf(command).json(`/v1/dead-letters/${encodeURIComponent(id)}`),
      );
    });
  group
    .command("redrive")
    .description("deliver dead letters again: the ids given, or all of a subscription")
    .argument("[ids...]")
    .option("--subscription <id>")
    .action(async (ids: string[], options: SelectOptions, command: Command) => {
      const wanted = ids.length > 0 ? { ids } : { subscription: options.subscription };
      outputOf(command).one(
        await clientOf(command).send("POST", "/v1/dead-letters/redrive", wanted),
      );
    });
}

function query(options: SelectOptions): string {
  return new URLSearchParams(Object.entries(options) as [string, string][]).toString();
}
