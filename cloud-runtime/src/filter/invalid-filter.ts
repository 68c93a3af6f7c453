import { MeshError } from "@fleetmesh/core";

const pathLengthMax = 300;

/** SUBSCRIPTION_INVALID: where in the filters, and what is wrong there. */
export function invalidFilter(path: string, what: string): MeshError {
  const place = path.slice(0, pathLengthMax);
  return new MeshError("SUBSCRIPTION_INVALID", `${place} ${what}`, { details: { path: place } });
}
