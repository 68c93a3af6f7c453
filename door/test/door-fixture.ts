import { createLogger, MeshError, systemClock } from "@fleetmesh/core";
import { Registry } from "prom-client";
import { Admission } from "../src/auth/admission.ts";
import type { Authenticator, Principal } from "../src/auth/authenticator.ts";
import { FailureThrottle } from "../src/auth/failure-throttle.ts";
import { DoorMetrics } from "../src/telemetry/door-metrics.ts";
import { ControlledIntake } from "./controlled-intake.ts";

/** Tokens are names: "any" may do everything, "car" publishes to vehicle topics only, "other" is another one like "any". */
const authenticator: Authenticator = {
  authenticate(token) {
    if (token === undefined) return Promise.reject(new MeshError("TOKEN_MISSING", "No token"));
    if (!["any", "car", "other"].includes(token)) {
      return Promise.reject(new MeshError("TOKEN_INVALID", "Not known"));
    }
    return Promise.resolve(principal(token));
  },
};

function principal(name: string): Principal {
  return {
    name,
    mayPublish: name === "car" ? (topic) => topic.startsWith("vehicle.") : () => true,
    maySubscribe: () => true,
    isOperator: true,
    agentId: undefined,
    isRegionLink: false,
    expiresMs: Infinity,
    tokenId: name,
  };
}

export interface DoorParts {
  readonly intake: ControlledIntake;
  readonly admission: Admission;
  readonly metrics: DoorMetrics;
  readonly registry: Registry;
  readonly clock: typeof systemClock;
  readonly logger: ReturnType<typeof createLogger>;
}

export function doorParts(own: Authenticator = authenticator): DoorParts {
  const registry = new Registry();
  const metrics = DoorMetrics.of(registry);
  const throttle = new FailureThrottle({ clock: systemClock, failureMax: 5 });
  return {
    intake: new ControlledIntake(),
    admission: new Admission({ authenticator: own, throttle, metrics }),
    metrics,
    registry,
    clock: systemClock,
    logger: createLogger({ part: "door", level: "silent" }),
  };
}

export function eventText(id: string, pad = 0): string {
  const event = { specversion: "1.0", id, source: "/test", type: "t" };
  return JSON.stringify(pad > 0 ? { ...event, data: "x".repeat(pad) } : event);
}

export const soon = (): AbortSignal => AbortSignal.timeout(2_000);

/** Looks again until it holds; the test's own time-out is the bound. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}
