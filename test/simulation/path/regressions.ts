/** Seeds that once failed, kept for good, each with what it showed. */
export const regressions: ReadonlyMap<number, string> = new Map([
  [
    1331,
    "an event told as expired was back when the clock went back, and the buffer taken for a copy",
  ],
  [5532, "the same, at a region that was restored from its backup"],
  [20, "a region restored to before a class's first event was never told what it lost"],
]);
