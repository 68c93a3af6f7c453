import { classOfRank, type EventClass } from "@fleetmesh/core";

export interface BatchHead {
  readonly kind: "batch";
  readonly epoch: string;
  readonly eventClass: EventClass;
  readonly first: number;
  readonly last: number;
}

export type MessageHead = BatchHead | { readonly kind: "hello"; readonly epoch: string };

/** What a message of the batch wire format says of itself before its columns (docs/wire.md). The checksum is not looked at. */
export function headOfMessage(bytes: Buffer): MessageHead {
  const isBatch = ((bytes[1] ?? 0) & 0x0f) === 1;
  let at = 2;
  while ((bytes[at] ?? 0) >= 0x80) at += 1;
  const numbers = new Bits(bytes, at + 1);
  numbers.varint(); // The length of the agent id.
  const epoch = Buffer.from(Array.from({ length: 8 }, () => numbers.bits(8))).toString("hex");
  if (!isBatch) return { kind: "hello", epoch };
  const eventClass = classOfRank(numbers.bits(2));
  if (eventClass === undefined) throw new Error("a batch of no class");
  const first = numbers.varint();
  let next = first;
  for (let left = numbers.varint(); left > 0; left -= 1) {
    const isGap = numbers.bits(1) === 1;
    next += numbers.varint();
    if (isGap) throw new Error("a gap, where nothing was to be lost");
  }
  return { kind: "batch", epoch, eventClass, first, last: next - 1 };
}

class Bits {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, byteAt: number) {
    this.#bytes = bytes;
    this.#at = 8 * byteAt;
  }

  bits(count: number): number {
    let value = 0;
    for (let bit = 0; bit < count; bit += 1, this.#at += 1)
      value |= (((this.#bytes[this.#at >> 3] ?? 0) >> (this.#at & 7)) & 1) << bit;
    return value;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.bits(8);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }
}
