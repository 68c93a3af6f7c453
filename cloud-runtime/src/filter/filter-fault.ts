/** A filter could not be evaluated on an event: it does not match, and that is counted. Never leaves the process as an error. */
export class FilterFault extends Error {
  override readonly name = "FilterFault";
}
