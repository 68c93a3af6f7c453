const slotCountMax = 1024;
const quote = 0x22;
const backslash = 0x5c;

/**
 * What stands before, between and behind the scalars of a JSON byte text, object keys included: one piece more than
 * there are scalars. Pieces and scalars put together again are the text, whatever it is: nothing is interpreted, so
 * spelling, spaces, escapes and duplicate keys survive. Undefined when it has more scalars than pay or a NUL, which is
 * the place holder.
 */
export function splitJson(text: string): string[] | undefined {
  if (text.includes("\0")) return undefined;
  const pieces: string[] = [];
  let pieceStart = 0;
  let at = 0;
  while (at < text.length) {
    if (!startsScalar(text.charCodeAt(at))) {
      at += 1;
      continue;
    }
    const end = scalarEnd(text, at);
    if (!isKey(text, at, end)) {
      if (pieces.length >= slotCountMax) return undefined;
      pieces.push(text.slice(pieceStart, at));
      pieceStart = end;
    }
    at = end;
  }
  pieces.push(text.slice(pieceStart));
  return pieces;
}

/** Behind the scalar that starts here: behind its closing quote, or at the next character that ends a number or word. */
export function scalarEnd(text: string, start: number): number {
  if (text.charCodeAt(start) === quote) return stringEnd(text, start);
  let at = start;
  while (at < text.length && !endsScalar(text.charCodeAt(at))) at += 1;
  return at;
}

function stringEnd(text: string, start: number): number {
  for (let at = start + 1; ;) {
    const end = text.indexOf('"', at);
    if (end < 0) return text.length;
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === backslash && end - 1 - slashes > start)
      slashes += 1;
    if (slashes % 2 === 0) return end + 1;
    at = end + 1;
  }
}

/** A quote, a minus, a digit or a lower-case letter. */
function startsScalar(code: number): boolean {
  return (
    code === quote ||
    code === 0x2d ||
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x61 && code <= 0x7a)
  );
}

/** White space, comma, colon, brackets or a quote. */
function endsScalar(code: number): boolean {
  return (
    code <= 0x20 ||
    code === 0x2c ||
    code === 0x7d ||
    code === 0x5d ||
    code === 0x3a ||
    code === quote ||
    code === 0x7b ||
    code === 0x5b
  );
}

function isKey(text: string, start: number, end: number): boolean {
  if (text.charCodeAt(start) !== quote) return false;
  let at = end;
  while (at < text.length && text.charCodeAt(at) <= 0x20) at += 1;
  return text.charCodeAt(at) === 0x3a;
}
