const connectByte = 0x10;

/**
 * Follows the fixed headers of an MQTT byte stream, so that a packet over the bound is refused when its length is read and
 * before its body is buffered. The parser behind it has no bound of its own.
 */
export class PacketFraming {
  #bytesMax: number;
  #isFirst = true;
  /** Bytes left of the packet's body. */
  #rest = 0;
  /** Undefined between packets; else the length read so far and how many length bytes that were. */
  #length: number | undefined;
  #lengthBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** CONNECT was accepted: larger packets may come. */
  raiseTo(bytesMax: number): void {
    this.#bytesMax = bytesMax;
  }

  /** Why the stream must be refused, or undefined. */
  inspect(chunk: Uint8Array): string | undefined {
    let at = 0;
    while (at < chunk.length) {
      if (this.#rest > 0) {
        const skipped = Math.min(this.#rest, chunk.length - at);
        this.#rest -= skipped;
        at += skipped;
        continue;
      }
      const why = this.#header(chunk[at] ?? 0);
      if (why !== undefined) return why;
      at += 1;
    }
    return undefined;
  }

  #header(byte: number): string | undefined {
    if (this.#length === undefined) return this.#firstByte(byte);
    this.#length += (byte & 0x7f) * 0x80 ** this.#lengthBytes;
    this.#lengthBytes += 1;
    if (this.#length > this.#bytesMax) return "packet_too_large";
    if (byte < 0x80) {
      this.#rest = this.#length;
      this.#length = undefined;
      return undefined;
    }
    return this.#lengthBytes < 4 ? undefined : "malformed";
  }

  #firstByte(byte: number): string | undefined {
    // [MQTT-3.1.0-1] and the two reserved packet types.
    if (this.#isFirst && byte !== connectByte) return "malformed";
    if (byte < connectByte || byte >= 0xf0) return "malformed";
    this.#isFirst = false;
    this.#length = 0;
    this.#lengthBytes = 0;
    return undefined;
  }
}
