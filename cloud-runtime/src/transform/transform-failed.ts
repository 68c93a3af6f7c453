import { MeshError } from "@fleetmesh/core/base";
import type { FailureWhy } from "./transform.ts";

const messageCharsMax = 500;

/** TRANSFORM_FAILED; what a rule says of itself is cut, since a dead letter keeps it. */
export function transformFailed(why: FailureWhy, message: string): MeshError {
  return new MeshError("TRANSFORM_FAILED", message.slice(0, messageCharsMax), { details: { why } });
}

export function whyOf(error: MeshError): string {
  const { why } = error.details;
  return typeof why === "string" ? why : "error";
}

export function invalidTransform(path: string, what: string): MeshError {
  return new MeshError("SUBSCRIPTION_INVALID", `${path} ${what}`, { details: { path } });
}
