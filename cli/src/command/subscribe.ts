import { MeshError } from "@fleetmesh/core";
import type { Command } from "commander";
import { clientOf, outputOf } from "../context.ts";

interface SubscribeOptions {
  readonly sink: string;
  readonly filter?: string;
  readonly id?: string;
  readonly group?: string;
}

export function addSubscribe(program: Command): void {
  program
    .command("subscribe")
    .summary("push a topic's events to a URL")
    .argument("<topic>", "a topic, with * for one segment or > for all the rest")
    .requiredOption("--sink <url>", "where each event is POSTed")
    .option(
      "--filter <expression>",
      `e.g. type=com.example.door.opened.v1, CESQL: "type = 'x' AND INT(level) > 5", or JSON: {"prefix":{"subject":"Vehicle."}}`,
    )
    .option("--id <id>", "the subscription's id; made up when left out")
    .option("--group <name>", "consumer group")
    .action(async (topic: string, options: SubscribeOptions, command: Command) => {
      const request = {
        topic,
        sink: options.sink,
        protocol: "HTTP",
        filters: options.filter === undefined ? [] : [parseFilter(options.filter)],
        ...(options.id === undefined ? {} : { id: options.id }),
        ...(options.group === undefined ? {} : { consumergroup: options.group }),
      };
      outputOf(command).one(await clientOf(command).send("POST", "/v1/subscriptions", request));
    });
}

/**
 * Everything that starts with a brace is a filter object as it stands, `name=value` is the `exact` dialect, and any other
 * text is an expression of CESQL: the region judges it. A value with blanks or quotes is one of an expression.
 */
function parseFilter(text: string): unknown {
  if (text.trimStart().startsWith("{")) {
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new MeshError("USAGE", `--filter is not JSON: ${(cause as Error).message}`, { cause });
    }
  }
  const parts = /^([a-z0-9]+)=([^\s'"]+)$/.exec(text);
  return parts ? { exact: { [parts[1] ?? ""]: parts[2] } } : { sql: text };
}
