import { scalarEnd } from "./split-json.ts";

/** JSON texts of one skeleton: the rows that matched, and where their scalars are. */
export class JsonTemplate {
  readonly skeleton: Uint8Array;
  readonly slotCount: number;
  readonly rows: Uint8Array[] = [];
  /** Start and end of each scalar, row after row. */
  readonly bounds: number[] = [];

  constructor(skeleton: Uint8Array) {
    this.skeleton = skeleton;
    this.slotCount = skeleton.reduce((count, byte) => (byte === 0 ? count + 1 : count), 0);
  }

  /** Takes the text as a row when it is exactly this skeleton with scalars in its slots. */
  take(bytes: Uint8Array): boolean {
    const { skeleton, bounds } = this;
    const taken = bounds.length;
    let at = 0;
    for (let index = 0; index < skeleton.length; index += 1) {
      const byte = skeleton[index];
      if (byte === 0) {
        const end = scalarEnd(bytes, at);
        bounds.push(at, end);
        at = end;
      } else if (at < bytes.length && bytes[at] === byte) {
        at += 1;
      } else {
        bounds.length = taken;
        return false;
      }
    }
    if (at === bytes.length) {
      this.rows.push(bytes);
      return true;
    }
    bounds.length = taken;
    return false;
  }
}
