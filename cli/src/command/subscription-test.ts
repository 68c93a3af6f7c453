import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { MeshError } from "@fleetmesh/core";
import type { Command } from "commander";
import type { ApiClient } from "../api-client.ts";
import { clientOf, outputOf } from "../context.ts";
import type { Output } from "../output.ts";

interface TestOptions {
  readonly event?: string;
  readonly last?: string;
}

interface Answer {
  readonly tried: number;
  readonly matched: number;
  readonly untried?: number;
  readonly results: readonly Result[];
}

interface Result {
  readonly topic?: string;
  readonly event: Readonly<Record<"id" | "source" | "type", string>>;
  readonly matched: boolean;
  readonly failed?: { readonly path: string; readonly reason: string };
}

export function addSubscriptionTest(group: Command): void {
  group
    .command("test")
    .summary("try the sink, or the filters on events")
    .description(
      "Send one test event to the sink. With --event or --last: send nothing, and say of each event whether the subscription's filters take it, and why not.",
    )
    .argument("<id>")
    .option(
      "--event <file>",
      "a CloudEvent as JSON, a list of them or one a line; - is standard input",
    )
    .option("--last <count>", "the events of its topic that were stored last, at most 100")
    .action(async (id: string, options: TestOptions, command: Command) => {
      const [client, output] = [clientOf(command), outputOf(command)];
      const path = `/v1/subscriptions/${encodeURIComponent(id)}`;
      if (options.event === undefined && options.last === undefined)
        output.one(await client.send("POST", `${path}/test`));
      else show(output, await tryFilters(client, path, options));
    });
}

async function tryFilters(client: ApiClient, path: string, options: TestOptions): Promise<Answer> {
  const events = await wantedOf(options);
  const kept = (await client.json(path)) as Record<string, unknown>;
  const { source, types, filters, topic } = kept;
  const body = { source, types, filters, topic, ...events };
  return (await client.send("POST", "/v1/sandbox/match", body)) as Answer;
}

async function wantedOf({ event, last }: TestOptions): Promise<object> {
  if (event !== undefined && last !== undefined)
    throw new MeshError("USAGE", "Give either --event or --last");
  if (event === undefined) return { last: Number(last) };
  const given = event === "-" ? await text(process.stdin) : await fileText(event);
  return { event: eventsOf(given) };
}

function fileText(file: string): Promise<string> {
  return readFile(file, "utf8").catch((cause: unknown) => {
    throw new MeshError("USAGE", `Cannot read ${file}`, { cause });
  });
}

/** One JSON text, or one on each line. */
function eventsOf(given: string): unknown {
  const lines = given.split("\n").filter((line) => line.trim() !== "");
  try {
    return JSON.parse(given);
  } catch (cause) {
    if (lines.length > 1 && lines.every((line) => line.startsWith("{")))
      return lines.map(parseLine);
    throw new MeshError("USAGE", `The event is not JSON: ${(cause as Error).message}`, { cause });
  }
}

function parseLine(line: string, index: number): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    const message = `Line ${index + 1} is not JSON: ${(cause as Error).message}`;
    throw new MeshError("USAGE", message, { cause });
  }
}

function show(output: Output, answer: Answer): void {
  const { tried, matched, untried, results } = answer;
  if (output.format === "jsonl") {
    for (const result of results) output.line(result);
  } else if (output.format === "table") {
    const columns = ["event", "type", "topic", "taken", "why"];
    output.list(results.map(rowOf), columns);
  } else output.one(answer);
  output.note(`${matched} of ${tried} would be delivered`);
  if (untried !== undefined) output.note(`${untried} more were not tried: it took too long`);
}

function rowOf({ event, topic, matched, failed }: Result): Record<string, unknown> {
  const why = failed && `${failed.path}: ${failed.reason}`;
  return { event: event.id, type: event.type, topic, taken: matched ? "yes" : "no", why };
}
