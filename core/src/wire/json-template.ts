import { scalarEnd } from "./split-json.ts";

/** JSON texts of one skeleton: the rows that matched, and where their scalars are. */
export class JsonTemplate {
  readonly pieces: readonly string[];
  readonly slotCount: number;
  readonly rows: string[] = [];
  /** Start and end of each scalar, row after row. */
  readonly bounds: number[] = [];

  constructor(pieces: readonly string[]) {
    this.pieces = pieces;
    this.slotCount = pieces.length - 1;
  }

  /** Takes the text as a row when it is this skeleton with scalars in its slots. */
  take(text: string): boolean {
    const { pieces, bounds } = this;
    const taken = bounds.length;
    let at = 0;
    for (let slot = 0; slot < pieces.length; slot += 1) {
      const piece = pieces[slot] ?? "";
      if (!text.startsWith(piece, at)) break;
      at += piece.length;
      if (slot === this.slotCount) {
        if (at !== text.length) break;
        this.rows.push(text);
        return true;
      }
      const end = scalarEnd(text, at);
      bounds.push(at, end);
      at = end;
    }
    bounds.length = taken;
    return false;
  }
}
