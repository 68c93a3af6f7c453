/** The text is not an expression of CESQL: what is wrong, and at which character (counted from 0). */
export class CesqlSyntaxError extends Error {
  readonly at: number;

  constructor(what: string, at: number) {
    super(what);
    this.name = "CesqlSyntaxError";
    this.at = at;
  }
}
