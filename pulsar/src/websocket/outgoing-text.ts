import type { OutgoingMessage } from "../pulsar-client.ts";

/** The server's default bound of a frame (webSocketMaxTextFrameSize). */
const frameBytesMax = 1024 * 1024;
/** Payload, properties and key: in base64 the payload grows by a third, and the frame has other parts. */
export const socketMessageBytesMax = 760 * 1024;
const contextBytesMax = 64;
/** No text's bytes in JSON are more than so many times its units. */
const growthMax = 6;
const nowhereElse: readonly string[] = ["__local__"];
/** Beyond it Pulsar does not read the time. */
const yearsMsMax = 253_402_300_799_999;

/** A message as the WebSocket API takes it. */
export function outgoingText(message: OutgoingMessage, context: number): string {
  const { payload, properties, key, eventTimeMs = 0, replicateTo } = message;
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const hasTime = eventTimeMs > 0 && eventTimeMs <= yearsMsMax;
  return JSON.stringify({
    context: String(context),
    payload: bytes.toString("base64"),
    properties,
    key,
    eventTime: hasTime ? new Date(eventTimeMs).toISOString() : undefined,
    replicationClusters: replicateTo?.length === 0 ? nowhereElse : replicateTo,
  });
}

/** Exact only for those that come near the bounds. `weight` as `weighMessage` has it. */
export function isTooLargeForSocket(message: OutgoingMessage, weight: number): boolean {
  if ((weight + 1024) * growthMax < socketMessageBytesMax) return false;
  const texts = Object.entries(message.properties).flat();
  if (message.key !== undefined) texts.push(message.key);
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), message.payload.length);
  if (bytes > socketMessageBytesMax) return true;
  return Buffer.byteLength(outgoingText(message, 0)) + contextBytesMax > frameBytesMax;
}
