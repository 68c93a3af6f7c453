import { MeshError } from "@fleetmesh/core";
import type { DoorMetrics } from "../telemetry/door-metrics.ts";
import type { Authenticator, Principal } from "./authenticator.ts";
import type { FailureThrottle } from "./failure-throttle.ts";

export interface AdmissionOptions {
  readonly authenticator: Authenticator;
  readonly throttle: FailureThrottle;
  readonly metrics: DoorMetrics;
}

/**
 * Who may come in, at every door alike: known tokens at once, new ones after a check, and addresses that failed too often
 * not before their time. One instance for all doors of a process, so that failures at one count at the other.
 */
export class Admission {
  readonly #authenticator: Authenticator;
  readonly #throttle: FailureThrottle;
  readonly #metrics: DoorMetrics;

  constructor(options: AdmissionOptions) {
    this.#authenticator = options.authenticator;
    this.#throttle = options.throttle;
    this.#metrics = options.metrics;
  }

  /** A principal that needs no check, or undefined. Never throws. */
  recall(token: string | undefined): Principal | undefined {
    return token === undefined ? undefined : this.#authenticator.recall?.(token);
  }

  /** True when who was let in must go: the token is revoked or expired since. */
  isOver(principal: Principal): boolean {
    return this.#authenticator.isOver?.(principal) ?? false;
  }

  /** Throws TOKEN_MISSING, TOKEN_INVALID or TOO_MANY_FAILURES, counted. */
  async admit(token: string | undefined, address: string): Promise<Principal> {
    const known = this.recall(token);
    if (known) return known;
    try {
      this.#throttle.check(address);
      return await this.#authenticator.authenticate(token);
    } catch (thrown) {
      throw this.#refuse(MeshError.from(thrown), address);
    }
  }

  /** Counts a refused permission, to do something with a topic, and gives the error to throw. */
  notPermitted(what: string, topic: string): MeshError {
    this.countNotPermitted(topic);
    return new MeshError("NOT_PERMITTED", `The token does not permit to ${what}`);
  }

  /** A permission was refused elsewhere; without a topic when it was not about one. */
  countNotPermitted(topic?: string): void {
    this.#metrics.authRejected("not_permitted", topic);
  }

  #refuse(error: MeshError, address: string): MeshError {
    // A missing token costs nothing to refuse and is no guess: it must not lock out others behind the same address.
    if (error.kind === "TOKEN_INVALID") this.#throttle.record(address);
    this.#metrics.authRejected(reasonOf(error));
    return error;
  }
}

function reasonOf(error: MeshError): string {
  const { reason } = error.details;
  if (error.kind === "TOKEN_MISSING") return "missing";
  if (error.kind === "TOO_MANY_FAILURES") return "throttled";
  return typeof reason === "string" ? reason : "invalid";
}
