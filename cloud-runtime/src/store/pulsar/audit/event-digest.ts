import type { ReceivedMessage } from "@fleetmesh/pulsar";
import { idHash } from "../../shared/event-identity.ts";

/** 32 bits of a numbered event: its number, source, id and the length of its data. */
export function eventDigest(number: number, { properties, payload }: ReceivedMessage): number {
  const { ce_id: id = "", ce_source: source = "" } = properties;
  const identity = Math.imul(idHash(id), 31) + idHash(source) + payload.length;
  return Math.imul(identity ^ number, 0x9e3779b1) >>> 0;
}

/** The digest of a range: the sum of its events'. */
export class DigestSum {
  #sum = 0;

  add(digest: number): void {
    this.#sum = (this.#sum + digest) >>> 0;
  }

  toText(): string {
    return this.#sum.toString(16).padStart(8, "0");
  }
}
