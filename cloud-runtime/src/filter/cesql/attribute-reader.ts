import type { AttributeValue, MeshEvent } from "@fleetmesh/core";

type AttributeReader = (event: MeshEvent) => AttributeValue | undefined;

/** The attributes that are text in every event, each read by its own name. */
const textReaders: ReadonlyMap<string, (event: MeshEvent) => string | undefined> = new Map<
  string,
  (event: MeshEvent) => string | undefined
>([
  ["specversion", () => "1.0"],
  ["id", ({ id }) => id],
  ["source", ({ source }) => source],
  ["type", ({ type }) => type],
  ["subject", ({ subject }) => subject],
  ["time", ({ time }) => time],
  ["datacontenttype", ({ datacontenttype }) => datacontenttype],
  ["dataschema", ({ dataschema }) => dataschema],
]);

export function isTextAttribute(name: string): boolean {
  return textReaders.has(name);
}

/**
 * What `attributeOf` gives, but which attribute it is gets decided once and not at each event. Besides being faster this reads
 * no property by a computed name: see `asKey` in the parser.
 */
export function attributeReader(name: string): AttributeReader {
  const text = textReaders.get(name);
  if (text) return text;
  return ({ extensions }) => {
    for (const [key, value] of extensions) if (key === name) return value;
    return undefined;
  };
}
