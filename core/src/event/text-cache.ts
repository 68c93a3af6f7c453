const slotCount = 512;
const byteCountMax = 64;

interface Slot {
  readonly bytes: Uint8Array;
  readonly text: string;
}

/**
 * Strings of short ASCII byte stretches, where the same few come again and again: attribute names, sources, types. Saves
 * making the string, and all events share the one copy. Bounded: one slot per hash, the later stretch takes it.
 */
export class TextCache {
  readonly #slots = new Array<Slot | undefined>(slotCount).fill(undefined);

  textOf(bytes: Buffer, start: number, end: number): string {
    const byteCount = end - start;
    if (byteCount > byteCountMax || byteCount === 0) return bytes.toString("latin1", start, end);
    const index = slotOf(bytes, start, end);
    const slot = this.#slots[index];
    if (slot !== undefined && slot.bytes.length === byteCount && isAt(slot.bytes, bytes, start))
      return slot.text;
    const text = bytes.toString("latin1", start, end);
    this.#slots[index] = { bytes: Uint8Array.prototype.slice.call(bytes, start, end), text };
    return text;
  }
}

function slotOf(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start] as number;
  const middle = bytes[(start + end) >> 1] as number;
  const last = bytes[end - 1] as number;
  return (first * 31 + middle * 17 + last * 7 + (end - start) * 101) & (slotCount - 1);
}

function isAt(known: Uint8Array, bytes: Uint8Array, start: number): boolean {
  for (let at = 0; at < known.length; at += 1) if (known[at] !== bytes[start + at]) return false;
  return true;
}
