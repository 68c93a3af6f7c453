import { MeshError } from "@fleetmesh/core";

/** A bound on bytes held at one time over all requests. What was reserved must be released, once. */
export class ByteBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  open(): ByteReservation {
    return new ByteReservation((byteCount) => this.#add(byteCount));
  }

  #add(byteCount: number): boolean {
    // One request is let in when nothing else is held, so that no allowed size can be refused for ever.
    if (byteCount > 0 && this.#bytes > 0 && this.#bytes + byteCount > this.#bytesMax) return false;
    this.#bytes += byteCount;
    return true;
  }
}

export class ByteReservation {
  readonly #add: (byteCount: number) => boolean;
  #bytes = 0;

  constructor(add: (byteCount: number) => boolean) {
    this.#add = add;
  }

  /** Makes the reservation at least this large. Throws OVERLOADED (503 with Retry-After) when there is no room. */
  growTo(byteCount: number): void {
    if (byteCount <= this.#bytes) return;
    if (!this.#add(byteCount - this.#bytes)) {
      throw new MeshError("DOOR_BUSY", "The door holds as many bytes as it may", {
        retryAfterSeconds: 1,
      });
    }
    this.#bytes = byteCount;
  }

  release(): void {
    this.#add(-this.#bytes);
    this.#bytes = 0;
  }
}
