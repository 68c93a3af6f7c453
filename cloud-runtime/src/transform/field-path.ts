import { invalidTransform } from "./transform-failed.ts";

/** Every member of an object, or every item of an array. */
export const every = Symbol("every");
export type Segment = string | number | typeof every;

/** A place in an event: an attribute, or something in its data. */
export interface FieldPath {
  /** As it was written, for people. */
  readonly text: string;
  /** "data" for the data. */
  readonly attribute: string;
  readonly segments: readonly Segment[];
}

const segmentsMax = 32;
const textMax = 500;
const segment = /\.([\p{L}_$][\p{L}\p{N}_$-]*|\*)|\[(\d{1,9}|\*)\]|\['((?:[^'\\]|\\.)+)'\]/uy;

/** `subject`, `$.subject`, `$.data.position.lat`, `data.trips[0].vin`, `data['odd name']`; with `*` for all, where that is allowed. */
export function parseFieldPath(written: unknown, path: string, allowsEvery = false): FieldPath {
  if (typeof written !== "string" || written.length > textMax)
    throw invalidTransform(
      path,
      `must be a path such as $.data.vin, of at most ${textMax} letters`,
    );
  const text = written.startsWith("$") ? written : `$.${written}`;
  const [attribute, ...segments] = segmentsOf(text, path);
  if (typeof attribute !== "string" || !/^[a-z0-9]+$/.test(attribute))
    throw invalidTransform(path, `begins with no attribute and not with data: ${written}`);
  if (attribute !== "data" && segments.length > 0)
    throw invalidTransform(path, `goes into the attribute ${attribute}, which has no fields`);
  if (!allowsEvery && segments.includes(every))
    throw invalidTransform(path, "names one place: * is not allowed here");
  return { text, attribute, segments };
}

function segmentsOf(text: string, path: string): Segment[] {
  const segments: Segment[] = [];
  segment.lastIndex = 1;
  while (segment.lastIndex < text.length) {
    const at = segment.lastIndex;
    const found = segment.exec(text);
    if (found === null || segments.length > segmentsMax)
      throw invalidTransform(path, `cannot be read at letter ${at + 1} of ${text}`);
    const [, name, index, quoted] = found;
    if (name === "*" || index === "*") segments.push(every);
    else if (index !== undefined) segments.push(Number(index));
    else segments.push(name ?? (quoted ?? "").replaceAll(/\\(.)/gs, "$1"));
  }
  return segments;
}
