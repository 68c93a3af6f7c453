import { MeshError } from "@fleetmesh/core";
import type { ReceivedMessage } from "../pulsar-client.ts";
import { crc32c } from "./crc32c.ts";
import { readEntryHead, readSingleHead, type MessageHead } from "./message-head.ts";
import { decompressPayload } from "./payload-compression.ts";
import { ProtobufReader } from "./protobuf-reader.ts";
import { protocolBroken } from "./protocol-broken.ts";

const checksumMagic = 0x0e01;
const brokerMagic = 0x0e02;
const headSizeBytes = 4;
const batchCountMax = 1_000_000;

/** Where an entry lies, and its bytes as the broker sent them: not decoded before somebody takes its messages. */
export interface ReceivedEntry {
  readonly ledger: number;
  readonly entry: number;
  readonly bytes: Buffer;
}

export interface DecodedEntry {
  /** As many permits as the broker counts for it. */
  readonly permits: number;
  /** Without those that compaction has removed. */
  readonly messages: ReceivedMessage[];
}

/**
 * The messages of an entry. Errors: PULSAR_UNAVAILABLE; `retryable` when the bytes were damaged and may arrive whole next time,
 * not retryable when the message is of a kind that cannot be read here (compression, encryption, chunks).
 */
export function decodeEntry(entry: ReceivedEntry): DecodedEntry {
  const { bytes } = entry;
  const { start, storedMs } = skipBrokerHead(bytes);
  const headAt = skipChecksum(bytes, start);
  const headEnd = headAt + headSizeBytes + sizeAt(bytes, headAt);
  const reader = new ProtobufReader(bytes);
  reader.seek(headAt + headSizeBytes, headEnd);
  const head = readEntryHead(reader);
  if (storedMs !== undefined) head.publishedMs = storedMs;
  const permits = Math.max(1, head.batchCount ?? 1);
  if (head.isMarker) return { permits, messages: [] };
  assertReadable(head);
  const payload = bytes.subarray(headEnd);
  const plain = decompressPayload(payload, head.compression, head.uncompressedSize);
  if (head.batchCount !== undefined) return { permits, messages: messagesOf(entry, head, plain) };
  return { permits, messages: [messageOf(entry, { head, batch: -1, payload: plain })] };
}

function messagesOf(
  entry: ReceivedEntry,
  { batchCount = 0, publishedMs, replicatedFrom }: MessageHead,
  plain: Buffer,
): ReceivedMessage[] {
  if (batchCount > batchCountMax) throw protocolBroken(`a batch of ${batchCount} messages`);
  const messages: ReceivedMessage[] = [];
  const reader = new ProtobufReader(plain);
  let at = 0;
  for (let batch = 0; batch < batchCount; batch += 1) {
    const payloadAt = at + headSizeBytes + sizeAt(plain, at);
    reader.seek(at + headSizeBytes, payloadAt);
    const head = readSingleHead(reader);
    at = payloadAt + head.payloadSize;
    if (head.payloadSize < 0 || at > plain.length) throw protocolBroken("a payload's length");
    if (head.isCompactedOut) continue;
    head.publishedMs = publishedMs;
    head.replicatedFrom = replicatedFrom;
    messages.push(messageOf(entry, { head, batch, payload: plain.subarray(payloadAt, at) }));
  }
  return messages;
}

interface Single {
  readonly head: MessageHead;
  readonly batch: number;
  readonly payload: Buffer;
}

function messageOf(
  { ledger, entry }: ReceivedEntry,
  { head: { properties, key, publishedMs, replicatedFrom }, batch, payload }: Single,
): ReceivedMessage {
  const { buffer, byteOffset, byteLength } = payload;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  const message = { payload: bytes, properties, key, publishedMs };
  // Absent rather than undefined where there is none: most messages are of this cluster.
  const from = replicatedFrom === undefined ? {} : { replicatedFrom };
  return { id: { ledger, entry, batch }, ...message, ...from };
}

/** The broker may put its own time before the message. */
function skipBrokerHead(bytes: Buffer): { start: number; storedMs: number | undefined } {
  if (magicAt(bytes, 0) !== brokerMagic) return { start: 0, storedMs: undefined };
  const headAt = 2 + headSizeBytes;
  const start = headAt + sizeAt(bytes, 2);
  const reader = new ProtobufReader(bytes);
  reader.seek(headAt, start);
  let storedMs: number | undefined;
  while (reader.next())
    if (reader.field === 1) storedMs = reader.number();
    else reader.skip();
  return { start, storedMs };
}

function skipChecksum(bytes: Buffer, start: number): number {
  if (magicAt(bytes, start) !== checksumMagic) return start;
  const from = start + 6;
  if (from > bytes.length) throw protocolBroken("a checksum's end");
  if (bytes.readUInt32BE(start + 2) !== crc32c(bytes.subarray(from)))
    throw protocolBroken("a message's checksum does not fit it");
  return from;
}

const magicAt = (bytes: Buffer, at: number): number =>
  at + 2 <= bytes.length ? bytes.readUInt16BE(at) : 0;

/** The length that is written here, which must lie within the bytes. */
function sizeAt(bytes: Buffer, at: number): number {
  if (at + headSizeBytes > bytes.length) throw protocolBroken("a length's end");
  const size = bytes.readUInt32BE(at);
  if (size > bytes.length - at - headSizeBytes) throw protocolBroken("a length");
  return size;
}

function assertReadable({ isEncrypted, isChunk }: MessageHead): void {
  const kind = isEncrypted ? "encrypted" : isChunk ? "a chunk of a larger one" : undefined;
  if (kind === undefined) return;
  throw new MeshError("PULSAR_UNAVAILABLE", `The message is ${kind}`, {
    retryable: false,
    hint: "Let its producer send it whole and unencrypted: others cannot be read here.",
  });
}
