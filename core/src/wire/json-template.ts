import { ScalarTable } from "./scalar-table.ts";

/** What stands before a slot, or behind the last one: a stretch of the skeleton. */
interface Literal {
  readonly start: number;
  readonly length: number;
}

/** JSON texts of one skeleton: the rows that matched, and where their scalars are. */
export class JsonTemplate {
  readonly skeleton: Uint8Array;
  readonly slotCount: number;
  readonly rows: Uint8Array[] = [];
  /** Those of row r are number r × slotCount and the following. */
  readonly scalars = new ScalarTable();
  readonly #literals: readonly Literal[];
  readonly #skeletonView: DataView;
  /** Over the memory of the row looked at last: the rows of a batch mostly share theirs. */
  #view: DataView;

  constructor(skeleton: Uint8Array) {
    this.skeleton = skeleton;
    this.#literals = literalsOf(skeleton);
    this.slotCount = this.#literals.length - 1;
    this.#skeletonView = new DataView(skeleton.buffer, skeleton.byteOffset, skeleton.length);
    this.#view = this.#skeletonView;
  }

  /** Takes the text as a row when it is exactly this skeleton with scalars in its slots. */
  take(bytes: Uint8Array): boolean {
    if (!this.#matches(bytes)) return false;
    this.rows.push(bytes);
    return true;
  }

  /** Leaves the scalars that it met behind those of the rows. */
  #matches(bytes: Uint8Array): boolean {
    if (this.#view.buffer !== bytes.buffer) this.#view = new DataView(bytes.buffer);
    const { scalars, slotCount } = this;
    const literals = this.#literals;
    const first = this.rows.length * slotCount;
    scalars.reserve(first + slotCount);
    let at = 0;
    for (let slot = 0; ; slot += 1) {
      const literal = literals[slot] as Literal;
      if (bytes.length - at < literal.length || !this.#isAt(literal, bytes.byteOffset + at))
        return false;
      at += literal.length;
      if (slot === slotCount) return at === bytes.length;
      at = scalars.take(bytes, at, first + slot);
    }
  }

  /** Whether the literal stands there in the rows' memory, four bytes at a time. */
  #isAt({ start, length }: Literal, offset: number): boolean {
    const skeleton = this.#skeletonView;
    const view = this.#view;
    const end = start + length;
    let at = start;
    let other = offset;
    for (; at + 4 <= end; at += 4, other += 4)
      if (view.getInt32(other, true) !== skeleton.getInt32(at, true)) return false;
    for (; at < end; at += 1, other += 1)
      if (view.getUint8(other) !== skeleton.getUint8(at)) return false;
    return true;
  }
}

/** One more than there are slots, each a NUL. */
function literalsOf(skeleton: Uint8Array): Literal[] {
  const literals: Literal[] = [];
  let start = 0;
  for (let at = skeleton.indexOf(0); at >= 0; at = skeleton.indexOf(0, start)) {
    literals.push({ start, length: at - start });
    start = at + 1;
  }
  literals.push({ start, length: skeleton.length - start });
  return literals;
}
