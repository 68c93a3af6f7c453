import {
  eventPrint,
  printOfGap,
  tailPrintsMax,
  type TailPrint,
  type TailPrints,
} from "@fleetmesh/core";
import type { AgentAppend } from "../event-store.ts";

/** The prints of the append's last sequences, at most `tailPrintsMax`. */
export function tailOf({ first, last, runs }: AgentAppend): TailPrints {
  const from = Math.max(first, last - tailPrintsMax + 1);
  const prints: TailPrint[] = [];
  for (const run of runs) {
    if (run.kind === "gap") {
      for (let at = Math.max(from, run.first); at <= run.last; at += 1)
        prints.push(printOfGap(run.reason));
      continue;
    }
    const entries = run.kind === "events" ? run.entries.slice(-tailPrintsMax) : [run.entry];
    for (const entry of entries) if (entry.sequence >= from) prints.push(eventPrint(entry));
  }
  return prints;
}

/** The tail at a watermark that grew by `added` sequences: the newest prints of both, in order. */
export function grownTail(known: TailPrints, fresh: TailPrints, added: number): TailPrints {
  if (added >= fresh.length && added >= tailPrintsMax) return fresh;
  return [...known, ...fresh.slice(-added)].slice(-tailPrintsMax);
}
