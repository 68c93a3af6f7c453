import type { ByteReader, ByteWriter } from "@fleetmesh/core";
import { formatMessageId, parseMessageId, type MessageId } from "@fleetmesh/pulsar";
import { readPlace, writePlace } from "./message-place.ts";

const kinds = { text: 0, inLedger: 1, place: 2 } as const;
const looksLikePlace = /^(?:0|[1-9]\d*)\.(?:-1|0|[1-9]\d*)\.(?:-1|0|[1-9]\d*)$/;
const lengthMax = 40;

/** Positions one behind another: those of Pulsar as steps, some three bytes each; any other text as it is. */
export class PositionWriter {
  readonly #out: ByteWriter;
  #last: MessageId = { ledger: -1, entry: 0, batch: 0 };

  constructor(out: ByteWriter) {
    this.#out = out;
  }

  write(position: string): void {
    const id = placeOf(position);
    if (!id) {
      this.#out.u8(kinds.text);
      this.#out.text(position);
      return;
    }
    const isInLedger = id.ledger === this.#last.ledger && id.entry >= this.#last.entry;
    this.#out.u8(isInLedger ? kinds.inLedger : kinds.place);
    if (isInLedger) {
      this.#out.varint(id.entry - this.#last.entry);
      this.#out.varint(id.batch + 1);
    } else writePlace(this.#out, id);
    this.#last = id;
  }
}

export class PositionReader {
  readonly #input: ByteReader;
  #last: MessageId = { ledger: -1, entry: 0, batch: 0 };

  constructor(input: ByteReader) {
    this.#input = input;
  }

  read(): string {
    const kind = this.#input.u8();
    if (kind === kinds.text) return this.#input.text();
    if (kind === kinds.place) this.#last = readPlace(this.#input);
    else {
      const { ledger, entry } = this.#last;
      const step = this.#input.varint();
      this.#last = { ledger, entry: entry + step, batch: this.#input.varint() - 1 };
    }
    return formatMessageId(this.#last);
  }
}

/** Undefined unless the text comes back the same. */
function placeOf(position: string): MessageId | undefined {
  if (position.length > lengthMax || !looksLikePlace.test(position)) return undefined;
  try {
    const id = parseMessageId(position);
    return formatMessageId(id) === position ? id : undefined;
  } catch {
    return undefined;
  }
}
