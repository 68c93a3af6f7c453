const rankWidth = 2 ** 48;

/** The row id of a class's sequence: one class is one range of the tree, in order. */
export function rowId(rank: number, sequence: number): number {
  return rank * rankWidth + sequence;
}

export function rankOfRow(id: number): number {
  return Math.floor(id / rankWidth);
}
