import { protocolBroken } from "./protocol-broken.ts";

const lengthBytes = 4;

/** Takes one whole frame, without its length: bytes `start` to `end` of the buffer, which may be kept. */
export type TakeFrame = (buffer: Buffer, start: number, end: number) => void;

/**
 * Cuts a connection's bytes into frames. A frame in one piece is not copied. Keeps never more than one frame of the allowed
 * size and one piece of input; a frame that claims more is PULSAR_UNAVAILABLE before any of it is kept.
 */
export class FrameDecoder {
  readonly #take: TakeFrame;
  #frameBytesMax: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #wantedBytes = 0;

  constructor(frameBytesMax: number, take: TakeFrame) {
    this.#frameBytesMax = frameBytesMax;
    this.#take = take;
  }

  /** The broker may allow larger ones than were allowed before it said so. */
  allow(frameBytesMax: number): void {
    this.#frameBytesMax = frameBytesMax;
  }

  push(chunk: Buffer): void {
    if (this.#heldBytes === 0) {
      this.#cut(chunk);
      return;
    }
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes < this.#wantedBytes) return;
    const whole = Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    this.#cut(whole);
  }

  #cut(bytes: Buffer): void {
    let at = 0;
    let wanted = lengthBytes;
    while (bytes.length - at >= lengthBytes) {
      const end = at + lengthBytes + this.#frameLength(bytes, at);
      wanted = end - at;
      if (end > bytes.length) break;
      this.#take(bytes, at + lengthBytes, end);
      at = end;
      wanted = lengthBytes;
    }
    if (at === bytes.length) return;
    this.#held = [bytes.subarray(at)];
    this.#heldBytes = bytes.length - at;
    this.#wantedBytes = wanted;
  }

  #frameLength(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at);
    if (length < lengthBytes || length > this.#frameBytesMax)
      throw protocolBroken(`a frame of ${length} bytes`);
    return length;
  }
}
