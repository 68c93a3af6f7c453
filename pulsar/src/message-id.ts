import { MeshError } from "@fleetmesh/core";

/** Where a message lies in its topic: ledger, entry in it, place in the entry's batch (-1 when it is alone). */
export interface MessageId {
  readonly ledger: number;
  readonly entry: number;
  readonly batch: number;
}

/** Negative when `a` lies before `b` in their topic. Ledgers are numbered by the cluster in the order in which they are opened. */
export function compareMessageIds(a: MessageId, b: MessageId): number {
  return a.ledger - b.ledger || a.entry - b.entry || a.batch - b.batch;
}

/** `ledger.entry.batch` in decimal: the text that positions are made of. */
export function formatMessageId({ ledger, entry, batch }: MessageId): string {
  return `${ledger}.${entry}.${batch}`;
}

const form = /^(\d{1,15})\.(-1|\d{1,15})\.(-1|\d{1,9})$/;

/** Throws POSITION_INVALID for any text that `formatMessageId` does not give. */
export function parseMessageId(text: string): MessageId {
  const match = form.exec(text);
  if (!match) throw new MeshError("POSITION_INVALID", `"${text.slice(0, 64)}" is not a position`);
  const [ledger, entry, batch] = match.slice(1).map(Number) as [number, number, number];
  return { ledger, entry, batch };
}
