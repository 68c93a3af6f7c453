const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const quoted = '"(?:[\\t !#-\\[\\]-~]|\\\\[\\t -~])*"';
// Blanks after ";" belong to a parameter or to the next ";", never to either: the match stays linear.
const grammar = new RegExp(
  `^${token}/${token}(?:[ \\t]*;(?:[ \\t]*${token}=(?:${token}|${quoted}))?)*[ \\t]*$`,
);
const charsetParameter = /;[ \t]*charset=("?)([^";\s]+)\1/i;

/** Whether the text is a media type with optional parameters (RFC 2046, RFC 9110 8.3.1). */
export function isMediaType(text: string): boolean {
  return text === "application/json" || grammar.test(text);
}

/** The type without its parameters, in lower case. */
export function essenceOf(mediaType: string): string {
  const end = mediaType.indexOf(";");
  return (end < 0 ? mediaType : mediaType.slice(0, end)).trim().toLowerCase();
}

/** JSON by the rule of the CloudEvents JSON format: the subtype is `json` or ends in `+json`. */
export function isJsonType(mediaType: string): boolean {
  if (mediaType === "application/json") return true;
  const essence = essenceOf(mediaType);
  return essence.endsWith("/json") || essence.endsWith("+json");
}

/** Text that may travel as a JSON string: `text/*` and XML, unless another character set than UTF-8 is named. */
export function isTextType(mediaType: string): boolean {
  const essence = essenceOf(mediaType);
  const isText =
    essence.startsWith("text/") || essence.endsWith("/xml") || essence.endsWith("+xml");
  return isText && isUtf8Charset(mediaType);
}

/** Whether the media type names no character set, or UTF-8, or its subset US-ASCII. */
export function isUtf8Charset(mediaType: string): boolean {
  const charset = charsetParameter.exec(mediaType)?.[2]?.toLowerCase();
  return charset === undefined || ["utf-8", "utf8", "us-ascii", "ascii"].includes(charset);
}
