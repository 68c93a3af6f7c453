import type { ProtobufReader } from "./protobuf-reader.ts";
import { readProperty } from "./property-map.ts";

/** What an entry, or a message in its batch, says before its payload. */
export interface MessageHead {
  properties: Record<string, string>;
  key: string | undefined;
  publishedMs: number;
  replicatedFrom: string | undefined;
  compression: number;
  uncompressedSize: number;
  /** Of a batch; undefined when the entry is one message. */
  batchCount: number | undefined;
  payloadSize: number;
  isCompactedOut: boolean;
  isEncrypted: boolean;
  isChunk: boolean;
  /** The broker's own mark between messages, which no consumer is given. */
  isMarker: boolean;
}

type ReadField = (head: MessageHead, reader: ProtobufReader) => void;

/** Fields of MessageMetadata. */
const entryFields: Readonly<Record<number, ReadField>> = {
  3: (head, reader) => (head.publishedMs = reader.number()),
  4: (head, reader) => readProperty(reader, head.properties),
  5: (head, reader) => (head.replicatedFrom = reader.text()),
  6: (head, reader) => (head.key = reader.text()),
  8: (head, reader) => (head.compression = reader.number()),
  9: (head, reader) => (head.uncompressedSize = reader.number()),
  11: (head, reader) => (head.batchCount = reader.number()),
  13: (head, reader) => {
    head.isEncrypted = true;
    reader.skip();
  },
  20: (head, reader) => {
    head.isMarker = true;
    reader.skip();
  },
  27: (head, reader) => (head.isChunk = reader.number() > 1),
};

/** Fields of SingleMessageMetadata. */
const singleFields: Readonly<Record<number, ReadField>> = {
  1: (head, reader) => readProperty(reader, head.properties),
  2: (head, reader) => (head.key = reader.text()),
  3: (head, reader) => (head.payloadSize = reader.number()),
  4: (head, reader) => (head.isCompactedOut = reader.number() !== 0),
};

export const readEntryHead = (reader: ProtobufReader): MessageHead => readHead(reader, entryFields);

export const readSingleHead = (reader: ProtobufReader): MessageHead =>
  readHead(reader, singleFields);

/** Reads to the end of the reader's stretch. */
function readHead(
  reader: ProtobufReader,
  fields: Readonly<Record<number, ReadField>>,
): MessageHead {
  const head = emptyHead();
  while (reader.next()) {
    const read = fields[reader.field];
    if (read === undefined) reader.skip();
    else read(head, reader);
  }
  return head;
}

const emptyHead = (): MessageHead => ({
  properties: {},
  key: undefined,
  publishedMs: 0,
  replicatedFrom: undefined,
  compression: 0,
  uncompressedSize: 0,
  batchCount: undefined,
  payloadSize: 0,
  isCompactedOut: false,
  isEncrypted: false,
  isChunk: false,
  isMarker: false,
});
