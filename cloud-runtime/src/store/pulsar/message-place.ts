import type { ByteReader, ByteWriter } from "@fleetmesh/core";
import type { MessageId } from "@fleetmesh/pulsar";

/** Before every message of every topic. */
export const topicStart: MessageId = { ledger: 0, entry: -1, batch: -1 };

/** A place from which reading gives this message, and perhaps some of its batch before it. */
export function placeBefore({ ledger, entry }: MessageId): MessageId {
  return { ledger, entry: entry - 1, batch: -1 };
}

export function writePlace(out: ByteWriter, { ledger, entry, batch }: MessageId): void {
  out.varint(ledger);
  out.varint(entry + 1);
  out.varint(batch + 1);
}

export function readPlace(input: ByteReader): MessageId {
  return { ledger: input.varint(), entry: input.varint() - 1, batch: input.varint() - 1 };
}
