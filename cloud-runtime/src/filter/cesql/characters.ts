/** A character of CESQL is a Unicode code point: two units of a JavaScript string outside the basic plane. */
export function characterCount(text: string): number {
  let count = text.length;
  for (let index = 1; index < text.length; index += 1) if (isInsidePair(text, index)) count -= 1;
  return count;
}

/** From the character `from` (counted from 0) up to, not including, `to`. */
export function characters(text: string, from: number, to: number): string {
  const start = unitOffset(text, from);
  return text.slice(start, start + unitOffset(text.slice(start), to - from));
}

/** Unicode's White_Space, which differs from what `String.trim` takes (U+0085 and U+FEFF). */
export function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

/** The unit behind the one code point that begins at this unit. */
export function nextCharacter(text: string, unit: number): number {
  return isInsidePair(text, unit + 1) ? unit + 2 : unit + 1;
}

export function isInsidePair(text: string, unit: number): boolean {
  const low = text.charCodeAt(unit);
  if (!(low >= 0xdc00 && low <= 0xdfff)) return false;
  const high = text.charCodeAt(unit - 1);
  return high >= 0xd800 && high <= 0xdbff;
}

function unitOffset(text: string, characterOffset: number): number {
  let unit = 0;
  for (let passed = 0; passed < characterOffset && unit < text.length; passed += 1)
    unit = nextCharacter(text, unit);
  return unit;
}

const rareBlanks = new Set([0x20, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000]);

function isBlank(unit: number): boolean {
  if (unit >= 0x09 && unit <= 0x0d) return true;
  return (unit >= 0x2000 && unit <= 0x200a) || rareBlanks.has(unit);
}
