import { nearestName } from "@fleetmesh/core";
import { functionNames, missingFunction } from "./compile-call.ts";
import { partsOf, type Expression } from "./expression.ts";

export interface Complaint {
  readonly what: string;
  readonly at: number;
}

/** What CESQL lets pass until an event comes, though it can be seen when the filter is made (3.3); the first one, or nothing. */
export function complaintOf(expression: Expression): Complaint | undefined {
  const own = ownComplaint(expression);
  if (own !== undefined) return { what: own, at: expression.at };
  for (const part of partsOf(expression)) {
    const complaint = complaintOf(part);
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}

function ownComplaint(expression: Expression): string | undefined {
  const { kind } = expression;
  if ((kind === "attribute" || kind === "exists") && expression.name === "data")
    return 'CESQL cannot look into an event\'s data; the dialect "pattern" can';
  if (kind !== "call") return undefined;
  const missing = missingFunction(expression);
  if (missing === undefined || functionNames.includes(expression.name)) return missing;
  const near = nearestName(expression.name, functionNames);
  const hint =
    near === undefined ? `; there are ${functionNames.join(", ")}` : `; did you mean ${near}?`;
  return missing + hint;
}
