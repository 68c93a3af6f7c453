import { encodeStructured, type MeshEvent } from "@fleetmesh/core";

const comma = Buffer.from(",");

/**
 * A JSON object whose `events` are structured CloudEvents, put together from bytes: what a publisher wrote as data comes
 * out as it was, number spelling and key order included.
 */
export function eventPage(
  events: readonly MeshEvent[],
  fields: Readonly<Record<string, unknown>>,
): Buffer {
  const parts: Uint8Array[] = [Buffer.from('{"events":[')];
  for (const event of events) {
    if (parts.length > 1) parts.push(comma);
    parts.push(encodeStructured(event));
  }
  const rest = JSON.stringify(fields);
  parts.push(Buffer.from(rest === "{}" ? "]}" : `],${rest.slice(1)}`));
  return Buffer.concat(parts);
}

/** A JSON object with one event inside, under the key `event`. */
export function withEvent(event: MeshEvent, fields: Readonly<Record<string, unknown>>): Buffer {
  const head = Buffer.from(`${JSON.stringify(fields).slice(0, -1)},"event":`);
  return Buffer.concat([head, encodeStructured(event), Buffer.from("}")]);
}
