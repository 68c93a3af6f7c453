import type { ProtobufReader } from "./protobuf-reader.ts";
import type { ProtobufWriter } from "./protobuf-writer.ts";

const keyField = 1;
const valueField = 2;

/** Writes text pairs as repeated KeyValue messages. */
export function writeProperties(
  out: ProtobufWriter,
  field: number,
  properties: Readonly<Record<string, string>>,
): void {
  for (const name of Object.keys(properties)) {
    const start = out.begin(field);
    out.text(keyField, name);
    out.text(valueField, properties[name] as string);
    out.end(start);
  }
}

/** Reads the KeyValue that the reader stands on; leaves the reader behind it. */
export function readProperty(reader: ProtobufReader, into: Record<string, string>): void {
  const limit = reader.limit;
  reader.span();
  const { end } = reader;
  reader.seek(reader.start, end);
  let name = "";
  let value = "";
  while (reader.next())
    if (reader.field === keyField) name = reader.text();
    else if (reader.field === valueField) value = reader.text();
    else reader.skip();
  // Assigning it would set the object's prototype and lose the property.
  if (name === "__proto__")
    Object.defineProperty(into, name, { value, enumerable: true, writable: true });
  else into[name] = value;
  reader.seek(end, limit);
}
