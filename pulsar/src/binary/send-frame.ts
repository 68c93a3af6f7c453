import type { OutgoingMessage } from "../pulsar-client.ts";
import { commandType } from "./command-type.ts";
import { crc32c } from "./crc32c.ts";
import { compressPayload, type PayloadCompression } from "./payload-compression.ts";
import { writeProperties } from "./property-map.ts";
import { ProtobufWriter } from "./protobuf-writer.ts";

export interface SendFrame {
  readonly producerId: number;
  readonly producerName: string;
  /** Of the first message; the others of the batch have the numbers behind it. */
  readonly sequence: number;
  readonly publishedMs: number;
  readonly compression: PayloadCompression;
  /** One, or a batch whose messages all have the same `replicateTo`. */
  readonly messages: readonly OutgoingMessage[];
}

/** The name that Pulsar's own clients give for "no other cluster". */
const nowhereElse: readonly string[] = ["__local__"];
const checksumMagic = 0x0e01;
const lengthBytes = 4;

const payloads = new ProtobufWriter(192 * 1024);
const heads = new ProtobufWriter();

/** A whole SEND frame: command, checksum, metadata and payload, in bytes of its own. */
export function sendFrame(given: SendFrame): Buffer {
  const [first] = given.messages;
  if (first === undefined) throw new RangeError("a batch holds at least one message");
  const isBatch = given.messages.length > 1;
  const plain = isBatch ? batchOf(given) : first.payload;
  const { codec, bytes } = compressPayload(plain, given.compression);
  heads.clear();
  heads.u32(0);
  writeCommand(given);
  heads.u16(checksumMagic);
  const checksumAt = heads.length;
  heads.u32(0);
  heads.u32(0);
  const metadataAt = heads.length;
  writeMetadata(given, first);
  heads.number(8, codec);
  heads.number(9, plain.length);
  if (isBatch) heads.number(11, given.messages.length);
  heads.patchU32(checksumAt + lengthBytes, heads.length - metadataAt);
  heads.patchU32(0, heads.length - lengthBytes + bytes.length);
  return joined(bytes, checksumAt);
}

function joined(payload: Uint8Array, checksumAt: number): Buffer {
  const frame = Buffer.allocUnsafe(heads.length + payload.length);
  frame.set(heads.view());
  frame.set(payload, heads.length);
  const sum = crc32c(frame.subarray(checksumAt + lengthBytes));
  frame.writeUInt32BE(sum, checksumAt);
  return frame;
}

function writeCommand({ producerId, sequence, messages }: SendFrame): void {
  const lengthAt = heads.length;
  heads.u32(0);
  heads.number(1, commandType.send);
  const start = heads.begin(commandType.send);
  heads.number(1, producerId);
  heads.number(2, sequence);
  if (messages.length > 1) {
    heads.number(3, messages.length);
    heads.number(6, sequence + messages.length - 1);
  }
  heads.end(start);
  heads.patchU32(lengthAt, heads.length - lengthAt - lengthBytes);
}

function writeMetadata(given: SendFrame, first: OutgoingMessage): void {
  heads.text(1, given.producerName);
  heads.number(2, given.sequence);
  heads.number(3, given.publishedMs);
  if (given.messages.length === 1) {
    writeProperties(heads, 4, first.properties);
    if (first.key !== undefined) heads.text(6, first.key);
    if (hasTime(first)) heads.number(12, first.eventTimeMs);
  } else heads.number(24, given.sequence + given.messages.length - 1);
  for (const cluster of clustersOf(first)) heads.text(7, cluster);
}

function clustersOf({ replicateTo }: OutgoingMessage): readonly string[] {
  if (replicateTo === undefined) return [];
  return replicateTo.length === 0 ? nowhereElse : replicateTo;
}

/** Valid until the next batch is made. */
function batchOf({ messages, sequence }: SendFrame): Buffer {
  payloads.clear();
  for (const [index, message] of messages.entries()) {
    const lengthAt = payloads.length;
    payloads.u32(0);
    writeProperties(payloads, 1, message.properties);
    if (message.key !== undefined) payloads.text(2, message.key);
    payloads.number(3, message.payload.length);
    if (hasTime(message)) payloads.number(5, message.eventTimeMs);
    payloads.number(8, sequence + index);
    payloads.patchU32(lengthAt, payloads.length - lengthAt - lengthBytes);
    payloads.raw(message.payload);
  }
  return payloads.view();
}

/** Pulsar has no time before 1970. */
const hasTime = (message: OutgoingMessage): message is OutgoingMessage & { eventTimeMs: number } =>
  message.eventTimeMs !== undefined && message.eventTimeMs > 0;
