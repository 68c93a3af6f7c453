/** A CloudEvents attribute value as it came: text, a 32-bit integer or a truth value (CloudEvents 1.0, type system). */
export type AttributeValue = string | number | boolean;

/**
 * What the data bytes are, which decides how a JSON envelope carries them and nothing else:
 * `json` is one valid JSON text, embedded as it is; `text` is UTF-8, carried as a JSON string; `binary` is base64.
 */
export type DataKind = "json" | "text" | "binary";

export type Extension = readonly [name: string, value: AttributeValue];

/**
 * A CloudEvent 1.0 between door and target. Attributes keep their spelling (`time` is text), extensions their order and
 * type, and `data` is the bytes that came: nobody between door and target rewrites them.
 * All fields are always present, so that every event has one shape in memory.
 */
export interface MeshEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string | undefined;
  readonly time: string | undefined;
  readonly datacontenttype: string | undefined;
  readonly dataschema: string | undefined;
  readonly extensions: readonly Extension[];
  /** Undefined = the event has no data, which differs from empty data and from JSON null. */
  readonly data: Uint8Array | undefined;
  readonly dataKind: DataKind;
}

export const noExtensions: readonly Extension[] = [];

/**
 * An attribute by its CloudEvents name; undefined when the event does not have it. Each is read by its own name: `event[name]`,
 * with a name that was cut out of a longer text, has been seen to read undefined once in some hundred million times (Node 20,
 * in optimised code).
 */
export function attributeOf(event: MeshEvent, name: string): AttributeValue | undefined {
  switch (name) {
    case "specversion":
      return "1.0";
    case "id":
      return event.id;
    case "source":
      return event.source;
    case "type":
      return event.type;
    case "subject":
      return event.subject;
    case "time":
      return event.time;
    case "datacontenttype":
      return event.datacontenttype;
    case "dataschema":
      return event.dataschema;
    default:
      for (const [key, value] of event.extensions) if (key === name) return value;
      return undefined;
  }
}

/** The ordering key: `partitionkey`, else `subject`, else `source`. Order is promised within a key only. */
export function keyOf(event: MeshEvent): string {
  for (const [name, value] of event.extensions) if (name === "partitionkey") return String(value);
  return event.subject ?? event.source;
}

/** The same event with one extension set, replaced where it was or added at the end. */
export function withExtension(event: MeshEvent, name: string, value: AttributeValue): MeshEvent {
  const others = event.extensions.filter(([key]) => key !== name);
  return { ...event, extensions: [...others, [name, value]] };
}
