import { describe, expect, it } from "vitest";
import { BodyMemory } from "../src/http/body-memory.ts";

const kept = 1024 * 1024;
const pieces = (fill: number, byteCount: number): Buffer[] => [
  Buffer.alloc(byteCount - 1_000, fill),
  Buffer.alloc(1_000, fill + 1),
];

describe("body memory", () => {
  it("is used again once a body was given back, and not before", () => {
    const memory = new BodyMemory(kept);
    const first = memory.join(pieces(1, 100_000), 100_000);
    const second = memory.join(pieces(3, 100_000), 100_000);
    expect(second.buffer).not.toBe(first.buffer);
    expect(first.equals(Buffer.concat(pieces(1, 100_000)))).toBe(true);
    memory.giveBack(first);
    const third = memory.join(pieces(5, 90_000), 90_000);
    expect(third.buffer).toBe(first.buffer);
    expect(third.equals(Buffer.concat(pieces(5, 90_000)))).toBe(true);
    expect(second.equals(Buffer.concat(pieces(3, 100_000)))).toBe(true);
  });

  it("is lent once, however often a body is given back", () => {
    const memory = new BodyMemory(kept);
    const body = memory.join(pieces(1, 50_000), 50_000);
    memory.giveBack(body);
    memory.giveBack(body);
    const again = [memory.join(pieces(2, 50_000), 50_000), memory.join(pieces(3, 50_000), 50_000)];
    expect(again[0]?.buffer).not.toBe(again[1]?.buffer);
  });

  it("takes nothing that it did not lend, and keeps no more than it may", () => {
    const memory = new BodyMemory(kept);
    const foreign = Buffer.alloc(100_000);
    memory.giveBack(foreign);
    expect(memory.join(pieces(1, 50_000), 50_000).buffer).not.toBe(foreign.buffer);
    const many = Array.from({ length: 40 }, () => memory.join(pieces(1, 60_000), 60_000));
    const known = new Set(many.map(({ buffer }) => buffer));
    for (const body of many) memory.giveBack(body);
    const next = Array.from({ length: 40 }, () => memory.join(pieces(1, 60_000), 60_000));
    expect(next.filter(({ buffer }) => known.has(buffer))).toHaveLength(kept / (64 * 1024));
  });

  it("uses nothing again when it may keep nothing, and leaves small bodies to the collector", () => {
    for (const [memory, byteCount] of [
      [new BodyMemory(0), 50_000] as const,
      [new BodyMemory(kept), 2_000] as const,
    ]) {
      const body = memory.join(pieces(1, byteCount), byteCount);
      memory.giveBack(body);
      expect(
        memory.join(pieces(1, byteCount), byteCount).buffer === body.buffer && byteCount > 2_000,
      ).toBe(false);
    }
  });
});
