import { MeshError, type Clock, type MeshEvent, type Timer } from "@fleetmesh/core";
import type { AccessTokenSource } from "./access-token.ts";
import type { Delivery, DeliveryOutcome } from "./target.ts";

export interface AuthorizedDeliveryPorts {
  readonly source: AccessTokenSource;
  readonly clock: Clock;
  readonly send: (delivery: Delivery, authorization: string) => void;
}

/**
 * A delivery that waits for a token first, and is sent once more with another one where the sink refuses the first. All of it
 * within the delivery's own time.
 */
export class AuthorizedDelivery implements Delivery {
  readonly #given: Delivery;
  readonly #ports: AuthorizedDeliveryPorts;
  readonly #endMs: number;
  readonly #onSettled: (delivery: AuthorizedDelivery) => void;
  #timer: Timer | undefined;
  #token = "";
  #isRepeated = false;
  #isSettled = false;

  constructor(
    given: Delivery,
    ports: AuthorizedDeliveryPorts,
    onSettled: (delivery: AuthorizedDelivery) => void,
  ) {
    this.#given = given;
    this.#ports = ports;
    this.#onSettled = onSettled;
    this.#endMs = ports.clock.monotonicMs() + given.timeoutMs;
  }

  get event(): MeshEvent {
    return this.#given.event;
  }

  get topic(): string {
    return this.#given.topic;
  }

  get subscription(): string {
    return this.#given.subscription;
  }

  get isRedriven(): boolean {
    return this.#given.isRedriven;
  }

  /** What is left of it. */
  get timeoutMs(): number {
    return Math.max(1, this.#endMs - this.#ports.clock.monotonicMs());
  }

  start(): void {
    const { current } = this.#ports.source;
    if (current !== undefined) {
      this.#send(current);
      return;
    }
    this.#timer = this.#ports.clock.setTimer(this.timeoutMs, () =>
      this.#end({ kind: "failed", status: "timeout", detail: "No access token came in time" }),
    );
    this.#ports.source.fetch().then(
      (token) => this.#send(token),
      (error: unknown) => this.#end(tokenFailure(error)),
    );
  }

  settle(outcome: DeliveryOutcome): void {
    const isUnauthorized = outcome.kind === "refused" && outcome.status === "401";
    if (isUnauthorized && !this.#isRepeated && this.#ports.source.refuse(this.#token)) {
      this.#isRepeated = true;
      this.start();
    } else {
      this.#end(outcome);
    }
  }

  #send(token: string): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#isSettled) return;
    this.#token = token;
    this.#ports.send(this, `Bearer ${token}`);
  }

  #end(outcome: DeliveryOutcome): void {
    this.#timer?.cancel();
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#onSettled(this);
    this.#given.settle(outcome);
  }
}

/** Passing: the endpoint may be back, or its client set up, at the next attempt. */
function tokenFailure(error: unknown): DeliveryOutcome {
  return { kind: "failed", status: "token", detail: MeshError.from(error).message };
}
