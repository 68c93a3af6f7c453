import { ProtobufReader } from "./protobuf-reader.ts";

/** The fields of one message by number, for commands: few and small. Of a field that comes twice the last one counts. */
export class ProtobufFields {
  readonly #numbers = new Map<number, number>();
  readonly #spans = new Map<number, Buffer>();

  constructor(buffer: Buffer, start = 0, end = buffer.length) {
    const reader = new ProtobufReader(buffer, start, end);
    while (reader.next()) {
      const { field } = reader;
      if (reader.isNumber) this.#numbers.set(field, reader.number());
      else if (reader.isSpan) this.#spans.set(field, spanOf(reader));
      else reader.skip();
    }
  }

  number(field: number): number | undefined {
    return this.#numbers.get(field);
  }

  text(field: number): string {
    return this.#spans.get(field)?.toString("utf8") ?? "";
  }

  flag(field: number): boolean {
    return (this.#numbers.get(field) ?? 0) !== 0;
  }

  message(field: number): ProtobufFields | undefined {
    const span = this.#spans.get(field);
    return span === undefined ? undefined : new ProtobufFields(span);
  }
}

function spanOf(reader: ProtobufReader): Buffer {
  reader.span();
  return reader.buffer.subarray(reader.start, reader.end);
}
