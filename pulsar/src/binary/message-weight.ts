import type { OutgoingMessage } from "../pulsar-client.ts";

/** What the protocol adds at most to each property, and to a key. */
const fieldBytesMax = 16;
/** No text's bytes, with what the protocol adds, are more than so many times its units. */
const growthMax = 3 + fieldBytesMax;

/** What counts against the window: bytes of the payload and UTF-16 units of key and properties. Cheap, not exact. */
export function weighMessage({ payload, properties, key }: OutgoingMessage): number {
  let weight = payload.length + (key?.length ?? 0);
  for (const name of Object.keys(properties))
    weight += name.length + (properties[name] as string).length;
  return weight;
}

export interface SizeBounds {
  /** Payload, properties and key. */
  readonly messageBytesMax: number;
  /** The same with what the protocol adds. */
  readonly encodedBytesMax: number;
}

/** Exact only for those that come near the bounds. */
export function isTooLarge(message: OutgoingMessage, weight: number, bounds: SizeBounds): boolean {
  if ((weight + 1) * growthMax < bounds.messageBytesMax) return false;
  const texts = Object.entries(message.properties).flat();
  if (message.key !== undefined) texts.push(message.key);
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), message.payload.length);
  const encoded = bytes + texts.length * fieldBytesMax;
  return bytes > bounds.messageBytesMax || encoded > bounds.encodedBytesMax;
}
