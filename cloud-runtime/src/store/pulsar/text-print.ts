/** 32 bits of a text (FNV-1a), for finding it again among many: what has the same print is looked at closely. */
export function textPrint(text: string): number {
  let print = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    print ^= text.charCodeAt(at);
    print = Math.imul(print, 0x01000193);
  }
  return print >>> 0;
}
