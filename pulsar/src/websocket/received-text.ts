import { MeshError } from "@fleetmesh/core";
import type { ReceivedMessage } from "../pulsar-client.ts";
import { decodeMessageId } from "./message-id-text.ts";

export interface SocketReceived extends ReceivedMessage {
  /** The id as it came, which the server wants back. */
  readonly ticket: string;
}

/** A message as the WebSocket API gives it. Throws PULSAR_UNAVAILABLE for what is none. */
export function parseReceived(text: string): SocketReceived {
  const { messageId, payload, properties, key, publishTime } = JSON.parse(text) as Readonly<
    Record<string, unknown>
  >;
  if (typeof messageId !== "string" || typeof payload !== "string")
    throw new MeshError("PULSAR_UNAVAILABLE", `This is no message: ${text.slice(0, 200)}`);
  return {
    ticket: messageId,
    id: decodeMessageId(messageId),
    payload: Buffer.from(payload, "base64"),
    properties: (properties ?? {}) as Readonly<Record<string, string>>,
    key: typeof key === "string" ? key : undefined,
    publishedMs: typeof publishTime === "string" ? Date.parse(publishTime) : Number.NaN,
  };
}

/** Lets the server send one more message. */
export const acknowledgement = (ticket: string): string => JSON.stringify({ messageId: ticket });
