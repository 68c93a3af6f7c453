const lengthMax = 200;

/** A value as JSON text of a length that people read; undefined for nothing. */
export function shown(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const text = typeof value === "string" && value.length > lengthMax ? cut(value) : value;
  return cut(JSON.stringify(text));
}

function cut(text: string): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax)}…`;
}
