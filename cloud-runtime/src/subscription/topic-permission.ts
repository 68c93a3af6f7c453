import { topicLengthMax } from "@fleetmesh/core";
import type { Principal } from "@fleetmesh/door";

/** No real topic is so deep that a permission could cover all of these depths and not `>`. */
const depthMax = 24;
const probe = "-";

/** Whether the principal may read every topic that the pattern can match, not only one that looks like it. */
export function mayReadAll(principal: Principal, pattern: string): boolean {
  const fixed = pattern.replaceAll("*", probe);
  if (!fixed.endsWith(">")) return principal.maySubscribe(fixed);
  const stem = fixed.slice(0, -1);
  for (let depth = 1; depth <= depthMax; depth += 1) {
    const topic = stem + Array<string>(depth).fill(probe).join(".");
    if (topic.length <= topicLengthMax && !principal.maySubscribe(topic)) return false;
  }
  return true;
}
