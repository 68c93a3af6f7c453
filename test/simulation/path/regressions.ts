/** Seeds that once failed, kept for good, each with what it showed. */
export const regressions: ReadonlyMap<number, string> = new Map();
