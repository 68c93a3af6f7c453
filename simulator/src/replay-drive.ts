import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { MeshError } from "@fleetmesh/core";
import { driveEvent, type TopicEvent } from "./drive-event.ts";

export interface ReplayOptions {
  readonly pseudonym: string;
  /** Time of the first row, wall clock. */
  readonly startMs: number;
  /** Between two rows; recorded drives have one a second. */
  readonly periodMs?: number;
}

const plainNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;

/**
 * A recorded drive as events, one a row: the header's names are the keys, numbers stay spelled as they were recorded.
 * Reads as it goes: memory does not grow with the file. Throws EVENT_INVALID with file and line when a row has fewer or
 * more fields than the header.
 */
export async function* replayDrive(
  csvPath: string,
  options: ReplayOptions,
): AsyncGenerator<TopicEvent> {
  const stream = createReadStream(csvPath);
  const lines = createInterface({ input: stream, crlfDelay: Infinity });
  let names: readonly string[] | undefined;
  let row = 0;
  try {
    for await (const line of lines) {
      if (line.trim() === "") continue;
      const fields = fieldsOf(line);
      if (names === undefined) {
        names = fields.map(keyOf);
        continue;
      }
      row += 1;
      const json = rowAsJson(names, fields);
      if (json === undefined)
        throw new MeshError(
          "EVENT_INVALID",
          `${csvPath}:${row + 1} does not have ${names.length} fields`,
        );
      yield rowEvent(json, row - 1, options);
    }
  } finally {
    lines.close();
    stream.destroy();
  }
}

function rowEvent(json: string, index: number, options: ReplayOptions): TopicEvent {
  const wallMs = options.startMs + index * (options.periodMs ?? 1000);
  const { pseudonym } = options;
  const type = "com.fleetmesh.obd.telemetry.v1";
  const event = driveEvent({ id: "", pseudonym, type, wallMs, data: null });
  return { topic: "vehicle.telemetry", event: { ...event, data: Buffer.from(json) } };
}

/** A comma at the end of a line is a habit of loggers, not an empty field. */
function fieldsOf(line: string): string[] {
  const fields = line.split(",").map((field) => field.trim());
  if (fields.at(-1) === "") fields.pop();
  return fields;
}

/** `ENGINE_RPM ()` as `ENGINE_RPM`. */
function keyOf(header: string): string {
  return JSON.stringify(header.replace(/\s*\(.*\)$/, ""));
}

function rowAsJson(names: readonly string[], fields: readonly string[]): string | undefined {
  if (fields.length !== names.length) return undefined;
  const members = fields.map((field, index) => {
    const value = plainNumber.test(field) ? field : JSON.stringify(field);
    return `${names[index] ?? ""}:${value}`;
  });
  return `{${members.join(",")}}`;
}
