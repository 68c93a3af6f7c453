const verbatim = /^[!#$&-~]*$/;
const encoded = /[^!#$&-~]+/g;
const printable = /^[ -~]*$/;
const escaped = /\\(.)/g;

/** An attribute's text as a header value: space, `"`, `%` and all outside U+0021-U+007E percent-encoded (HTTP binding 3.1.3.2). */
export function encodeHeaderValue(text: string): string {
  // Nothing else says "empty" in a header that must not be empty: a receiver unquotes first.
  if (text === "") return '""';
  return verbatim.test(text) ? text : text.replace(encoded, encodeURIComponent);
}

/** Unquotes, then decodes exactly once. Undefined when a byte is not printable ASCII or the encoding is not valid UTF-8. */
export function decodeHeaderValue(value: string): string | undefined {
  if (!printable.test(value)) return undefined;
  const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
  const text = isQuoted ? value.slice(1, -1).replace(escaped, "$1") : value;
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
