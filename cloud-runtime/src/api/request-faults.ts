import { nearestName } from "@fleetmesh/core";
import type { z } from "zod";

/** What is wrong with one field of a request, in words for who sent it. */
export interface RequestFault {
  /** The way to the field with dots; empty for the body as a whole. */
  readonly field: string;
  readonly message: string;
}

export function faultsOf(error: z.ZodError): RequestFault[] {
  return error.issues.flatMap(faultsOfIssue);
}

function faultsOfIssue(issue: z.core.$ZodIssue): RequestFault[] {
  const field = issue.path.join(".");
  if (issue.code === "invalid_key") return issue.issues.map(({ message }) => ({ field, message }));
  if (issue.code !== "unrecognized_keys") return [{ field, message: issue.message }];
  // How core's strict objects say what they know.
  const known = issue.message.startsWith("known:") ? issue.message.slice(6).split(",") : [];
  return issue.keys.map((key) => {
    const near = nearestName(key, known);
    const suffix = near === undefined ? "" : ` - did you mean "${near}"?`;
    return { field: [...issue.path, key].join("."), message: `is not a known field${suffix}` };
  });
}
