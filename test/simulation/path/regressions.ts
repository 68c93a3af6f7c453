/** Seeds that once failed, kept for good, each with what it showed. */
export const regressions: ReadonlyMap<number, string> = new Map([
  [20, "a region restored to before a class's first event was never told what it lost"],
]);
