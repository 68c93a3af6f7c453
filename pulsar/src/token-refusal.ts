import { MeshError } from "@fleetmesh/core";

/** What was asked, with which token, and when by the wall clock. */
export interface RefusedToken {
  readonly asked: string;
  readonly token: string | undefined;
  readonly atMs: number;
  /** Of an answer by HTTP. */
  readonly status?: number;
}

/** The cluster's clock may differ from ours by so much. */
const clockStepMs = 10_000;

/**
 * Pulsar refuses a token without saying why. One that is out of its time is PULSAR_TOKEN_EXPIRED: whoever renews it ends that. Any
 * other is PULSAR_DENIED, for the reason given.
 */
export function tokenRefusal(refused: RefusedToken, reason: string): MeshError {
  const { asked, token, atMs, status } = refused;
  const what = `Pulsar refused ${asked}${status === undefined ? "" : ` (${status})`}`;
  const details = status === undefined ? {} : { pulsarStatus: status };
  const untimely = untimelyReason(token, atMs);
  return untimely === undefined
    ? new MeshError("PULSAR_DENIED", `${what}: ${reason}`, { details })
    : new MeshError("PULSAR_TOKEN_EXPIRED", `${what}: the ${untimely}`, { details });
}

function untimelyReason(token: string | undefined, atMs: number): string | undefined {
  const claims = claimsOf(token);
  const [endMs, startMs] = [timeOf(claims["exp"]), timeOf(claims["nbf"])];
  if (endMs !== undefined && endMs <= atMs + clockStepMs)
    return `token expired at ${new Date(endMs).toISOString()}`;
  if (startMs !== undefined && startMs >= atMs - clockStepMs)
    return `token is not valid before ${new Date(startMs).toISOString()}`;
  return undefined;
}

/** Of a JWT; nothing of what is none. Its signature is the cluster's to look at. */
function claimsOf(token = ""): Readonly<Record<string, unknown>> {
  try {
    const text = Buffer.from(token.split(".")[1] ?? "", "base64url").toString();
    const claims: unknown = JSON.parse(text);
    return typeof claims === "object" && claims !== null ? { ...claims } : {};
  } catch {
    return {};
  }
}

const secondsMax = 8_640_000_000_000;

function timeOf(seconds: unknown): number | undefined {
  const isTime = typeof seconds === "number" && Math.abs(seconds) <= secondsMax;
  return isTime ? seconds * 1_000 : undefined;
}
