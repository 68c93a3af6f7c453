import { findCollector } from "@fleetmesh/core/base";

const collectBytes = 2 * 1024 * 1024;

/**
 * Collects what was handed over and is done with. A thread that gets its work in transferred memory makes few objects of
 * its own, so that V8 sees no reason to collect before 64 MB of others' bytes hang on them; a minor collection of this
 * small heap takes well under a millisecond.
 */
export class FreedMemory {
  readonly #collect = findCollector();
  #byteCount = 0;

  /** So many bytes are no longer needed. */
  add(byteCount: number): void {
    this.#byteCount += byteCount;
    if (this.#byteCount < collectBytes) return;
    this.#byteCount = 0;
    this.#collect?.({ type: "minor" });
  }
}
