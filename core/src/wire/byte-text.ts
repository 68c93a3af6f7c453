/**
 * A byte text is a string with one unit (0..255) per byte: columns work on bytes at the speed of strings, and JSON that
 * is not even UTF-8 comes back as it was. ASCII, nearly everything, is its own byte text.
 */
const ascii = /^[\0-\x7f]*$/;

/** UTF-8 of a text as a byte text. */
export function toByteText(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

export function fromByteText(bytes: string): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, "latin1").toString("utf8");
}

function isAscii(text: string): boolean {
  return ascii.test(text);
}

export function bytesToByteText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
