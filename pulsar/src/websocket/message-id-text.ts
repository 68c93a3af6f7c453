import { MeshError } from "@fleetmesh/core";
import { ProtobufFields } from "../binary/protobuf-fields.ts";
import { ProtobufWriter } from "../binary/protobuf-writer.ts";
import type { MessageId } from "../message-id.ts";

const fieldOf = { ledger: 1, entry: 2, batch: 4 } as const;

/** A message id as the WebSocket API writes it: Pulsar's MessageIdData in base64. */
export function encodeMessageId({ ledger, entry, batch }: MessageId): string {
  const out = new ProtobufWriter(32);
  out.number(fieldOf.ledger, ledger);
  out.number(fieldOf.entry, entry);
  if (batch >= 0) out.number(fieldOf.batch, batch);
  return Buffer.from(out.view()).toString("base64");
}

/** Throws PULSAR_UNAVAILABLE for what is none. */
export function decodeMessageId(text: string): MessageId {
  const fields = new ProtobufFields(Buffer.from(text, "base64"));
  const [ledger, entry] = [fields.number(fieldOf.ledger), fields.number(fieldOf.entry)];
  if (ledger === undefined || entry === undefined)
    throw new MeshError("PULSAR_UNAVAILABLE", `"${text.slice(0, 64)}" is no message id of Pulsar`);
  return { ledger, entry, batch: fields.number(fieldOf.batch) ?? -1 };
}
