import { directIdentityBytes } from "../shared/event-identity.ts";
import { DirectWindow } from "../shared/direct-window.ts";
import { ChunkedList } from "./chunked-list.ts";

/** Two texts of 16 bytes each, one byte a character. */
export type Identity = readonly [key: string, digest: string];

export function identityOf(bytes: Buffer): Identity {
  return [bytes.toString("latin1", 0, 16), bytes.toString("latin1", 16)];
}

/** The last identities of direct publishers that were folded, in order, kept in the state in chunks. */
export class DirectIdentities {
  readonly #countMax: number;
  readonly #list: ChunkedList<Identity>;
  #window: DirectWindow;

  constructor(countMax: number, onChanged: (chunk: number) => void) {
    this.#countMax = countMax;
    this.#window = new DirectWindow(countMax);
    this.#list = new ChunkedList({ codec: { encode, decode }, chunkSize: 256, onChanged });
  }

  get next(): number {
    return this.#list.next;
  }

  digestOf(key: string): string | undefined {
    return this.#window.digestOf(key);
  }

  /** The newest content of a key counts. */
  remember(identity: Identity): void {
    this.#window.remember(...identity);
    this.#list.push(identity);
    this.#window.shrink();
    // By whole chunks, with some to spare for keys that are in it twice.
    const surplus = this.#list.items.length - this.#countMax;
    if (surplus > 1_024) this.#list.drop(surplus);
  }

  encode(chunk: number): Uint8Array | undefined {
    return this.#list.encode(chunk);
  }

  restore(chunk: number, value: Uint8Array | undefined): void {
    this.#list.restore(chunk, value);
  }

  finishRestore(next: number): void {
    this.#list.finishRestore(next);
    this.#window = new DirectWindow(this.#countMax);
    for (const identity of this.#list.items) {
      this.#window.remember(...identity);
      this.#window.shrink();
    }
  }
}

function encode(identities: readonly Identity[]): Uint8Array {
  return Buffer.from(identities.map(([key, digest]) => key + digest).join(""), "latin1");
}

function decode(value: Uint8Array): Identity[] {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const identities: Identity[] = [];
  for (let at = 0; at + directIdentityBytes <= bytes.length; at += directIdentityBytes)
    identities.push(identityOf(bytes.subarray(at, at + directIdentityBytes)));
  return identities;
}
