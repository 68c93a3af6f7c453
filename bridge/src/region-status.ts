/** One region as the bridge has it now. */
export interface RegionStatus {
  readonly name: string;
  /** Of its file in `regionsDir`; absent for one of the bridge's own configuration. */
  readonly digest?: string;
  /**
   * `joined`: it answered, and what it wishes is being brought. `waiting`: it does not answer. `leaving`, then `left`: nothing
   * goes from or to it any more. `invalid`: its file is not taken up; what it said before, if anything, stays.
   */
  readonly state: "joined" | "waiting" | "leaving" | "left" | "invalid";
  readonly reason?: string;
}
