/** Less is not worth the trouble: the collector has it soon. */
const lentBytesMin = 16 * 1024;
const unitBytes = 64 * 1024;

/**
 * Memory for request bodies, used again as soon as nobody needs a body any more. A body outlives two collections of the young
 * generation while it waits for the disk, and then stays until a collection of all: at full speed tens of megabytes of them.
 */
export class BodyMemory {
  readonly #keptBytesMax: number;
  readonly #free: ArrayBuffer[] = [];
  #freeBytes = 0;
  readonly #lent = new WeakSet<ArrayBufferLike>();

  /** @param keptBytesMax of free memory; 0 = nothing is used again. */
  constructor(keptBytesMax: number) {
    this.#keptBytesMax = keptBytesMax;
  }

  /** One body of its pieces. */
  join(pieces: readonly Buffer[], byteCount: number): Buffer {
    if (byteCount < lentBytesMin || byteCount > this.#keptBytesMax)
      return Buffer.concat(pieces, byteCount);
    const memory = this.#take(byteCount);
    this.#lent.add(memory);
    const body = Buffer.from(memory, 0, byteCount);
    let at = 0;
    for (const piece of pieces) at += piece.copy(body, at);
    return body;
  }

  /** Nobody reads the body any more, nor any part of it. What was not lent here is left alone. */
  giveBack(body: Buffer): void {
    const memory = body.buffer;
    if (!(memory instanceof ArrayBuffer) || !this.#lent.delete(memory)) return;
    if (this.#freeBytes + memory.byteLength > this.#keptBytesMax) return;
    this.#free.push(memory);
    this.#freeBytes += memory.byteLength;
  }

  #take(byteCount: number): ArrayBuffer {
    for (let at = this.#free.length - 1; at >= 0; at -= 1) {
      const memory = this.#free[at];
      if (memory === undefined || memory.byteLength < byteCount) continue;
      this.#free.splice(at, 1);
      this.#freeBytes -= memory.byteLength;
      return memory;
    }
    return new ArrayBuffer(Math.ceil(byteCount / unitBytes) * unitBytes);
  }
}
