/**
 * Memory for the numbers of one column, used again for the next: a typed array of its own for each would cost more than
 * filling it. What `of` returned is good until `of` is called again.
 */
export class ColumnMemory {
  #values = new Float64Array(256);

  /** So many numbers, whatever stands in them. */
  of(count: number): Float64Array {
    if (count > this.#values.length) this.#values = new Float64Array(2 * count);
    return this.#values.subarray(0, count);
  }
}

/** A number of each item. As Float64Array.from, which takes ten times as long for its iterator. */
export function numbersOf<Item>(
  items: readonly Item[],
  numberOf: (item: Item) => number,
): Float64Array {
  const numbers = new Float64Array(items.length);
  for (let at = 0; at < items.length; at += 1) numbers[at] = numberOf(items[at] as Item);
  return numbers;
}
