/** Reflected form of the Castagnoli polynomial. */
const polynomial = 0x82f63b78;
const tableSize = 256;

/** Eight tables of 256: entry `k * 256 + b` is the effect of byte b when k bytes follow it. */
const tables = makeTables();

/**
 * CRC-32C (RFC 3720 B.4), the checksum of Pulsar's messages. `before` is the sum of what comes before these bytes, so that
 * pieces need not be joined. Eight bytes at a time; node:zlib has only the other CRC-32.
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  const t = tables;
  const end = bytes.length;
  const blocksEnd = end - (end % 8);
  let sum = ~before;
  let at = 0;
  for (; at < blocksEnd; at += 8) {
    const low =
      sum ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    sum =
      (t[1792 + (low & 255)] as number) ^
      (t[1536 + ((low >>> 8) & 255)] as number) ^
      (t[1280 + ((low >>> 16) & 255)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (bytes[at + 4] as number)] as number) ^
      (t[512 + (bytes[at + 5] as number)] as number) ^
      (t[256 + (bytes[at + 6] as number)] as number) ^
      (t[bytes[at + 7] as number] as number);
  }
  for (; at < end; at += 1) sum = (t[(sum ^ (bytes[at] as number)) & 255] as number) ^ (sum >>> 8);
  return ~sum >>> 0;
}

function makeTables(): Int32Array {
  const made = new Int32Array(8 * tableSize);
  for (let byte = 0; byte < tableSize; byte += 1) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ polynomial : sum >>> 1;
    made[byte] = sum;
  }
  for (let index = tableSize; index < made.length; index += 1) {
    const before = made[index - tableSize] as number;
    made[index] = (before >>> 8) ^ (made[before & 255] as number);
  }
  return made;
}
