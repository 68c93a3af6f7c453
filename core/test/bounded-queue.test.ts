import { describe, expect, it } from "vitest";
import { BoundedQueue } from "../src/queue/bounded-queue.ts";

const queueOf = (whenFull: "block" | "reject", weightMax = 10): BoundedQueue<number> =>
  new BoundedQueue<number>({ countMax: 3, weightMax, whenFull }, (item) => item);

describe("A bounded queue", () => {
  it("gives back in the order it took, and counts and weighs what is in it", async () => {
    const queue = queueOf("reject");
    for (const item of [1, 2, 3]) expect(await queue.push(item)).toBe(true);
    expect([queue.count, queue.weight]).toEqual([3, 6]);
    expect([queue.tryTake(), await queue.take(), queue.tryTake()]).toEqual([1, 2, 3]);
    expect([queue.count, queue.weight, queue.tryTake()]).toEqual([0, 0, undefined]);
  });

  it("rejects when full by count or by weight", async () => {
    const queue = queueOf("reject");
    for (const item of [1, 1, 1]) queue.tryPush(item);
    expect(await queue.push(1)).toBe(false);
    const heavy = queueOf("reject");
    heavy.tryPush(6);
    expect(await heavy.push(5)).toBe(false);
    expect(await heavy.push(4)).toBe(true);
  });

  it("lets one item over the bound in when it is empty", async () => {
    const queue = queueOf("reject");
    expect(await queue.push(99)).toBe(true);
    expect(await queue.push(1)).toBe(false);
  });

  it("makes the giver wait, and nobody overtakes one who waits", async () => {
    const queue = queueOf("block");
    queue.tryPush(5);
    queue.tryPush(5);
    const large = queue.push(8);
    const small = queue.push(1);
    expect(queue.tryPush(1)).toBe(false);
    const taken: number[] = [];
    while (taken.length < 4) taken.push((await queue.take()) ?? 0);
    expect(taken).toEqual([5, 5, 8, 1]);
    expect(await Promise.all([large, small])).toEqual([true, true]);
  });

  it("lets in as many waiting givers as one large item leaves room for", async () => {
    const queue = queueOf("block");
    queue.tryPush(10);
    const givers = [queue.push(2), queue.push(3), queue.push(4)];
    queue.tryTake();
    expect(queue.count).toBe(3);
    expect(await Promise.all(givers)).toEqual([true, true, true]);
  });

  it("wakes each taker for one item", async () => {
    const queue = queueOf("reject");
    const takers = [queue.take(), queue.take()];
    queue.tryPush(1);
    queue.tryPush(2);
    expect(await Promise.all(takers)).toEqual([1, 2]);
  });

  it("when closed refuses givers, the waiting ones too, and gives out what is in", async () => {
    const queue = queueOf("block");
    queue.tryPush(10);
    const waiting = queue.push(1);
    queue.close();
    expect(await waiting).toBe(false);
    expect(await queue.push(1)).toBe(false);
    expect(await queue.take()).toBe(10);
    expect(await queue.take()).toBeUndefined();
  });

  it("when closed wakes takers with nothing", async () => {
    const queue = queueOf("block");
    const taker = queue.take();
    queue.close();
    expect(await taker).toBeUndefined();
  });

  it("stays right over many more items than it holds", async () => {
    const queue = new BoundedQueue<number>({ countMax: 7, weightMax: 100, whenFull: "block" });
    const countAll = 5000;
    const giving = (async () => {
      for (let item = 1; item <= countAll; item += 1) await queue.push(item);
      queue.close();
    })();
    let expected = 1;
    for (let item = await queue.take(); item !== undefined; item = await queue.take())
      expect(item).toBe(expected++);
    await giving;
    expect(expected).toBe(countAll + 1);
  });
});
