import type { Command } from "commander";
import { clientOf, outputOf } from "../context.ts";
import type { Output } from "../output.ts";

interface Explained {
  readonly topic: string;
  readonly receivedAt: string;
  readonly event: Readonly<Record<"id" | "source" | "type", string>>;
  readonly outcome: string;
  readonly reason?: string;
  readonly why?: string;
  readonly attempts?: number | readonly unknown[];
  readonly atMs?: number;
  readonly nextMs?: number;
  readonly rule: {
    readonly matched: boolean;
    readonly failed?: { readonly path: string; readonly clause: string; readonly reason: string };
  };
}

type ExplainArguments = [event: string, options: { source?: string }, command: Command];

interface Answer {
  readonly subscription: string;
  readonly events: readonly Explained[];
}

export function addExplain(program: Command): void {
  program
    .command("explain")
    .summary("say why a subscription was or was not given an event")
    .description(
      "Say what became of an event for one subscription and why, and whether the subscription's filters of today take it.",
    )
    .argument("<subscription>")
    .argument("<event-id>")
    .option("--source <uri>", "only the event of this source")
    .action(async (id: string, ...[event, options, command]: ExplainArguments) => {
      const query = new URLSearchParams({ event, ...options }).toString();
      const path = `/v1/subscriptions/${encodeURIComponent(id)}/explain?${query}`;
      const answer = (await clientOf(command).json(path)) as Answer;
      const output = outputOf(command);
      if (output.format !== "table") output.one(answer);
      else
        for (const one of answer.events) for (const line of linesOf(one, output)) output.line(line);
    });
}

function linesOf(explained: Explained, output: Output): string[] {
  const { event, topic, receivedAt, outcome, reason, why, rule } = explained;
  const isDelivered = outcome === "delivered";
  const { failed } = rule;
  const head = `${event.id} of ${event.source}, ${event.type}, stored in ${topic} at ${receivedAt}`;
  const said = [outcome, ...factsOf(explained)].join(", ");
  return [
    output.paint("bold", head),
    `  ${output.paint(isDelivered ? "green" : "yellow", said)}`,
    ...(reason === undefined ? [] : [`  because: ${reason}`]),
    ...(why === undefined ? [] : [`  ${why}`]),
    failed === undefined
      ? "  today's filters take it"
      : `  today's filters do not take it: ${failed.path}: ${failed.reason}`,
  ];
}

function factsOf({ attempts, atMs, nextMs }: Explained): string[] {
  const count = typeof attempts === "number" ? attempts : attempts?.length;
  return [
    ...(count === undefined ? [] : [`${count} ${count === 1 ? "attempt" : "attempts"}`]),
    ...(atMs === undefined ? [] : [`at ${timeText(atMs)}`]),
    ...(nextMs === undefined ? [] : [`again at ${timeText(nextMs)}`]),
  ];
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
