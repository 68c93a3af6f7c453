import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { MeshError, systemChance, systemClock } from "@fleetmesh/core";
import type { Command } from "commander";
import type { ApiClient } from "../api-client.ts";
import { clientOf, outputOf } from "../context.ts";

interface PublishOptions {
  readonly type: string;
  readonly source: string;
  readonly subject?: string;
  readonly id?: string;
  readonly ext: readonly string[];
  readonly jsonl?: boolean;
}

type PublishArguments = [data: string | undefined, options: PublishOptions, command: Command];

const batchCountMax = 100;
/** Any door takes a batch of this size; a line that is larger goes alone. */
const batchBytesMax = 1024 * 1024;

export function addPublish(program: Command): void {
  program
    .command("publish")
    .summary("publish events to a topic")
    .description(
      "Publish one event, or with --jsonl one for each line of standard input. Ends when all are durable.",
    )
    .argument("<topic>")
    .argument("[data]", "the event's data: text, @FILE, or - for standard input")
    .option("--type <type>", "CloudEvents type", "com.fleetmesh.cli.event.v1")
    .option("--source <uri>", "CloudEvents source", "urn:fleetmesh:cli")
    .option("--subject <subject>", "CloudEvents subject")
    .option("--id <id>", "CloudEvents id; a new UUID when left out")
    .option("--ext <name=value...>", "extension attributes", [])
    .option(
      "--jsonl",
      "each line of standard input is one event's data as JSON, or a whole CloudEvent",
    )
    .action(async (topic: string, ...[data, options, command]: PublishArguments) => {
      const client = clientOf(command);
      const accepted = options.jsonl
        ? await publishLines(client, topic, options)
        : await post(client, topic, [envelope(options, await readData(data))]);
      outputOf(command).line({ accepted });
    });
}

/** Batches follow one another, so that the lines keep their order; the first refused batch ends the work. */
async function publishLines(
  client: ApiClient,
  topic: string,
  options: PublishOptions,
): Promise<number> {
  let accepted = 0;
  let batch: string[] = [];
  let byteCount = 0;
  let lineNumber = 0;
  const flush = async (): Promise<void> => {
    if (batch.length > 0) accepted += await post(client, topic, batch);
    batch = [];
    byteCount = 0;
  };
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    lineNumber += 1;
    if (line.trim() === "") continue;
    const event = eventOfLine(line, lineNumber, options);
    const eventBytes = Buffer.byteLength(event);
    if (byteCount + eventBytes > batchBytesMax) await flush();
    batch.push(event);
    byteCount += eventBytes;
    if (batch.length >= batchCountMax) await flush();
  }
  await flush();
  return accepted;
}

function eventOfLine(line: string, lineNumber: number, options: PublishOptions): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new MeshError("USAGE", `Line ${lineNumber} is not JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  const isWhole = typeof value === "object" && value !== null && "specversion" in value;
  return isWhole ? line : envelope(options, Buffer.from(line));
}

async function post(client: ApiClient, topic: string, events: readonly string[]): Promise<number> {
  const headers = { "content-type": "application/cloudevents-batch+json" };
  const body = `[${events.join(",")}]`;
  const path = `/v1/topics/${encodeURIComponent(topic)}/events`;
  const answer = (await client.json(path, { method: "POST", headers, body })) as {
    accepted: number;
  };
  return answer.accepted;
}

/** The structured form, with JSON data spliced in as it was typed. */
function envelope(options: PublishOptions, data: Buffer | undefined): string {
  const attributes: Record<string, string> = {
    specversion: "1.0",
    id: options.id ?? systemChance.uuid(),
    source: options.source,
    type: options.type,
    time: new Date(systemClock.wallMs()).toISOString(),
    ...(options.subject === undefined ? {} : { subject: options.subject }),
    ...Object.fromEntries(options.ext.map(parseExtension)),
  };
  if (data === undefined) return JSON.stringify(attributes);
  const text = data.toString("utf8");
  if (isJson(text))
    return spliced({ ...attributes, datacontenttype: "application/json" }, "data", text);
  const isText = Buffer.from(text).equals(data);
  if (isText) return JSON.stringify({ ...attributes, datacontenttype: "text/plain", data: text });
  return JSON.stringify({
    ...attributes,
    datacontenttype: "application/octet-stream",
    data_base64: data.toString("base64"),
  });
}

function spliced(attributes: Record<string, string>, name: string, json: string): string {
  return `${JSON.stringify(attributes).slice(0, -1)},"${name}":${json}}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function parseExtension(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at <= 0) throw new MeshError("USAGE", `--ext takes name=value, not "${text}"`);
  return [text.slice(0, at), text.slice(at + 1)];
}

async function readData(data: string | undefined): Promise<Buffer | undefined> {
  if (data === undefined) return undefined;
  if (data === "-") return readStdin();
  if (!data.startsWith("@")) return Buffer.from(data);
  const file = data.slice(1);
  return readFile(file).catch((cause: unknown) => {
    throw new MeshError("USAGE", `Cannot read ${file}`, {
      cause,
      hint: "Data that starts with @ names a file.",
    });
  });
}

async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
