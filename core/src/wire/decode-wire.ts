import { crc32 } from "node:zlib";
import { MeshError } from "../error/mesh-error.ts";
import { readBatch } from "./batch-body.ts";
import { ByteReader } from "./bytes.ts";
import { decompress } from "./compression.ts";
import { wireKind, wireVersion } from "./encode-wire.ts";
import { readHello } from "./hello-body.ts";
import type { WireMessage } from "./message.ts";
import { SectionReader, type WireLimits } from "./section-reader.ts";
import { wireInvalid, wireTooLarge } from "./wire-invalid.ts";

/** Two bytes of head, two lengths, the checksum. */
const messageBytesMin = 8;
const checksumBytes = 4;

/**
 * Reads a message from anybody: memory and time are bounded by the bytes given and the limits.
 * Throws WIRE_INVALID (unknown version, truncated, wrong checksum, columns that disagree) or WIRE_TOO_LARGE.
 */
export function decodeWire(bytes: Uint8Array, limits: WireLimits): WireMessage {
  if (bytes.length < messageBytesMin) throw wireInvalid("it is shorter than its head");
  if (bytes[0] !== wireVersion)
    throw wireInvalid(`its version is ${bytes[0] ?? 0}, and only ${wireVersion} is known here`);
  const end = bytes.length - checksumBytes;
  const body = bytes.subarray(0, end);
  if (new ByteReader(bytes, end).u32() !== crc32(body))
    throw wireInvalid("its checksum does not match");
  try {
    return readMessage(body, limits);
  } catch (thrown) {
    if (MeshError.is(thrown, "BLOCK_DAMAGED"))
      throw wireInvalid("a field goes past the end", thrown);
    throw thrown;
  }
}

function readMessage(body: Uint8Array, limits: WireLimits): WireMessage {
  const input = new ByteReader(body, 1);
  const head = input.u8();
  const numbers = input.bytes(input.varint());
  const textsLength = input.varint();
  if (textsLength > limits.decodedBytesMax)
    throw wireTooLarge(`its texts have ${textsLength} bytes, more than ${limits.decodedBytesMax}`);
  const texts = decompress(input.bytes(input.remaining), head >> 4, textsLength);
  if (texts.length !== textsLength) throw wireInvalid("its texts have another length than it says");
  const sections = new SectionReader(numbers, texts, limits);
  switch (head & 15) {
    case wireKind.hello:
      return readHello(sections);
    case wireKind.batch:
      return readBatch(sections, limits);
    default:
      throw wireInvalid(`there is no kind ${head & 15} of message`);
  }
}
