import type { BitReader } from "./bit-reader.ts";
import type { BitWriter } from "./bit-writer.ts";
import { wireInvalid } from "./wire-invalid.ts";

const grammar = /^[0-9a-f]{16}$/;

/** 16 hexadecimal digits as 64 bits, two digits a byte in reading order. */
export function writeEpoch(out: BitWriter, epoch: string): void {
  if (!grammar.test(epoch)) throw wireInvalid("an epoch is 16 lower-case hexadecimal digits");
  for (const byte of Buffer.from(epoch, "hex")) out.bits(byte, 8);
}

export function readEpoch(input: BitReader): string {
  const bytes = Uint8Array.from({ length: 8 }, () => input.bits(8));
  return Buffer.from(bytes).toString("hex");
}
