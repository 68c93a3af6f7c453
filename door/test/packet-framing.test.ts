import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PacketFraming } from "../src/mqtt/packet-framing.ts";
import { connectPacket, packet } from "./mqtt-fixture.ts";

const bytesMax = 1_000;

function verdictOf(stream: Uint8Array, cuts: readonly number[]): string | undefined {
  const framing = new PacketFraming(bytesMax);
  const ends = [...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort(
    (a, b) => a - b,
  );
  let start = 0;
  for (const end of ends) {
    const why = framing.inspect(stream.subarray(start, end));
    if (why !== undefined) return why;
    start = end;
  }
  return undefined;
}

describe("packet framing", () => {
  it("says the same of a stream however it is cut into chunks", () => {
    const packets = fc.array(
      fc.tuple(fc.integer({ min: 0x10, max: 0xef }), fc.integer({ min: 0, max: 1_200 })),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(packets, fc.array(fc.nat(), { maxLength: 8 }), (list, cuts) => {
        const bodies = list.map(([first, length]) => packet(first, Buffer.alloc(length)));
        const stream = Buffer.concat([connectPacket("a"), ...bodies]);
        const isLarge = list.some(([, length]) => length > bytesMax);
        expect(verdictOf(stream, [])).toBe(isLarge ? "packet_too_large" : undefined);
        expect(verdictOf(stream, cuts)).toBe(verdictOf(stream, []));
      }),
    );
  });

  it("never fails on any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const framing = new PacketFraming(bytesMax);
        framing.inspect(Buffer.concat([connectPacket("a"), bytes]));
      }),
    );
  });

  it("takes larger packets only once CONNECT was accepted", () => {
    const framing = new PacketFraming(bytesMax);
    expect(framing.inspect(connectPacket("a"))).toBeUndefined();
    framing.raiseTo(10_000);
    expect(framing.inspect(packet(0x30, Buffer.alloc(10_000)))).toBeUndefined();
    expect(framing.inspect(packet(0x30, Buffer.alloc(10_001)))).toBe("packet_too_large");
  });
});
