const slotCountMax = 1024;
const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;

/** Characters that end a number or a word: white space, comma, colon, brackets, a quote. */
export const endsScalar = new Uint8Array(256).fill(1, 0, 0x21);
for (const character of ',:{}[]"') endsScalar[character.charCodeAt(0)] = 1;

/** Characters that start a scalar: a quote, a minus, a digit, a lower-case letter. */
const startsScalar = new Uint8Array(256).fill(1, 0x61, 0x7b).fill(1, 0x30, 0x3a);
startsScalar[quote] = 1;
startsScalar[0x2d] = 1;

/**
 * The skeleton of a JSON text: the text with a NUL for each scalar, object keys left in. Skeleton and scalars put
 * together again are the text, whatever it is: nothing is interpreted, so spelling, spaces, escapes and duplicate keys
 * survive. Undefined when there are more scalars than pay, or a NUL already.
 */
export function skeletonOf(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.includes(0)) return undefined;
  const skeleton = new Uint8Array(bytes.length);
  let length = 0;
  let slots = 0;
  for (let at = 0; at < bytes.length;) {
    const start = at;
    if (startsScalar[bytes[at] ?? 0] === 0) {
      skeleton[length++] = bytes[at++] ?? 0;
      continue;
    }
    at = scalarEnd(bytes, at);
    if (isKey(bytes, start, at)) {
      skeleton.set(bytes.subarray(start, at), length);
      length += at - start;
    } else if (++slots > slotCountMax) {
      return undefined;
    } else {
      skeleton[length++] = 0;
    }
  }
  return skeleton.slice(0, length);
}

/** Behind the scalar that starts here: behind its closing quote, or at the next character that ends a number or word. */
function scalarEnd(bytes: Uint8Array, start: number): number {
  if (bytes[start] === quote) return quotedEnd(bytes, start);
  let at = start;
  while (at < bytes.length && endsScalar[bytes[at] ?? 0] === 0) at += 1;
  return at;
}

/** Behind the quote that closes the one that stands here. */
export function quotedEnd(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  for (; at < bytes.length && bytes[at] !== quote; at += 1) if (bytes[at] === backslash) at += 1;
  return Math.min(at + 1, bytes.length);
}

function isKey(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== quote) return false;
  let at = end;
  while (at < bytes.length && (bytes[at] ?? 0) <= 0x20) at += 1;
  return bytes[at] === colon;
}
