import type { AttributeValue } from "./event.ts";
import { eventInvalid } from "./event-invalid.ts";
import { isMediaType } from "./media-type.ts";
import { parseTimestampMs } from "./time.ts";

const nameGrammar = /^[a-z0-9]+$/;
// CloudEvents 1.0, "String": no control characters, no noncharacters, no unpaired surrogates.
const forbidden = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u;
const uriCharacters = /^(?:[!#$&'()*+,\-./0-9:;=?@A-Z[\]_a-z~]|%[0-9A-Fa-f]{2})+$/;
const uriScheme = /^[A-Za-z][A-Za-z0-9+.-]*:./;

export function assertAttributeName(name: string): void {
  if (nameGrammar.test(name) && name !== "data") return;
  throw eventInvalid(name, "is not an attribute name: lower-case letters and digits only");
}

/** Throws EVENT_INVALID unless the text is a CloudEvents String. */
export function assertAttributeText(name: string, text: string): void {
  if (!forbidden.test(text)) return;
  throw eventInvalid(name, "holds a control character, a noncharacter or half of a surrogate pair");
}

/** Throws EVENT_INVALID unless the value is what CloudEvents 1.0 asks of this attribute. */
export function assertCoreAttribute(name: CoreAttribute, value: AttributeValue): string {
  const why = typeof value === "string" ? rules[name](value) : "must be a string";
  if (why !== undefined) throw eventInvalid(name, why);
  return value as string;
}

/** The attributes that CloudEvents itself defines; all others are extensions. */
export type CoreAttribute = keyof typeof rules;

export function isCoreAttribute(name: string): name is CoreAttribute {
  return coreAttributes.has(name);
}

/** Each says what is wrong with the text, or nothing. */
const rules = {
  specversion: (text: string) => (text === "1.0" ? undefined : 'must be "1.0"'),
  id: notEmpty,
  source: remembering(
    (text: string) =>
      notEmpty(text) ??
      (uriCharacters.test(text) ? undefined : "must be a URI-reference; percent-encode the rest"),
  ),
  type: notEmpty,
  subject: notEmpty,
  time: (text: string) =>
    parseTimestampMs(text) === undefined ? "must be an RFC 3339 timestamp" : undefined,
  datacontenttype: remembering((text: string) =>
    isMediaType(text) ? undefined : "must be a media type",
  ),
  dataschema: remembering((text: string) =>
    uriScheme.test(text) && uriCharacters.test(text) ? undefined : "must be an absolute URI",
  ),
};

const coreAttributes: ReadonlySet<string> = new Set(Object.keys(rules));

function notEmpty(text: string): string | undefined {
  return text === "" ? "must not be empty" : undefined;
}

/** The rule with a memory for the last text that passed: from one producer it is mostly the same. */
function remembering(rule: (text: string) => string | undefined) {
  let lastGood: string | undefined;
  return (text: string): string | undefined => {
    if (text === lastGood) return undefined;
    const why = rule(text);
    if (why === undefined) lastGood = text;
    return why;
  };
}
