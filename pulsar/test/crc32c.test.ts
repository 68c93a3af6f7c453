import { describe, expect, it } from "vitest";
import { crc32c } from "../src/binary/crc32c.ts";

const ascending = Uint8Array.from({ length: 32 }, (_, index) => index);

describe("CRC-32C", () => {
  it.each([
    ["nothing", new Uint8Array(0), 0],
    ["123456789", Buffer.from("123456789"), 0xe3069283],
    ["32 zeros", new Uint8Array(32), 0x8a9136aa],
    ["32 ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ["0 to 31", ascending, 0x46dd794e],
    ["31 to 0", ascending.toReversed(), 0x113fdb5c],
  ])("is what RFC 3720 says of %s", (_, bytes, sum) => {
    expect(crc32c(bytes)).toBe(sum);
  });

  it("goes on from the sum of what came before, wherever that ends", () => {
    const whole = Buffer.from("The quick brown fox jumps over the lazy dog");
    for (let at = 0; at <= whole.length; at += 1)
      expect(crc32c(whole.subarray(at), crc32c(whole.subarray(0, at)))).toBe(crc32c(whole));
  });
});
