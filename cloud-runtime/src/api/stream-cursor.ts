import { MeshError } from "@fleetmesh/core";
import { z } from "zod";
import type { Position } from "../store/event-store.ts";

const cursorSchema = z.record(z.string().max(200), z.string().max(200));
const cursorLengthMax = 256 * 1024;

/** Where a live tail is in each of its topics, as the text of an SSE event id. */
export function encodeStreamCursor(positions: ReadonlyMap<string, Position>): string {
  return Buffer.from(JSON.stringify(Object.fromEntries(positions))).toString("base64url");
}

/** Throws POSITION_INVALID when the text is not an id that a stream gave out. */
export function decodeStreamCursor(text: string): Map<string, Position> {
  try {
    if (text.length > cursorLengthMax) throw new Error("too long");
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    return new Map(Object.entries(cursorSchema.parse(value)));
  } catch (cause) {
    throw new MeshError("POSITION_INVALID", "Last-Event-ID is not one that this stream gave out", {
      cause,
    });
  }
}
