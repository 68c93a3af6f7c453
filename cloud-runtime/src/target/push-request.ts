import { MeshError } from "@fleetmesh/core";
import type { Delivery, DeliveryOutcome } from "./target.ts";
import { parseRetryAfter } from "./retry-after.ts";
import type { WheelEntry } from "./timer-wheel.ts";

/** What a request needs of the target that sent it. */
export interface PushOwner {
  wallMs(): number;
  /** The request is over: forget it. */
  ended(request: PushRequest): void;
}

const excerptBytesMax = 512;
const responseBytesMax = 64 * 1024;

/**
 * One POST on the wire: undici's callbacks in, one outcome out. The plain callback form of undici's handler is used because
 * it costs nothing per request; its newer form wraps each request in two more objects.
 */
export class PushRequest implements WheelEntry {
  wheelSlot: Set<WheelEntry> | undefined;
  wheelRounds = 0;
  readonly #owner: PushOwner;
  readonly #delivery: Delivery;
  #abort: ((error?: Error) => void) | undefined;
  #status = 0;
  #retryAfterMs: number | undefined;
  #excerpt = "";
  #responseBytes = 0;
  #isSettled = false;

  constructor(owner: PushOwner, delivery: Delivery) {
    this.#owner = owner;
    this.#delivery = delivery;
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort;
    // It was given up while it waited for a connection.
    if (this.#isSettled) abort();
  }

  onHeaders(status: number, headers: readonly Buffer[]): boolean {
    if (status < 200) return true;
    this.#status = status;
    if (status === 429 || status === 503) this.#retryAfterMs = this.#retryAfterOf(headers);
    return true;
  }

  onData(chunk: Buffer): boolean {
    this.#responseBytes += chunk.length;
    const room = excerptBytesMax - this.#excerpt.length;
    if (this.#status >= 300 && room > 0) this.#excerpt += chunk.toString("latin1", 0, room);
    // The status is known; what else the target has to say is not worth a connection.
    if (this.#responseBytes > responseBytesMax) this.#finish(this.#outcome());
    return true;
  }

  onComplete(): void {
    this.#settle(this.#outcome());
  }

  onError(error: Error): void {
    this.#settle(this.#status > 0 ? this.#outcome() : failureOf(error));
  }

  /** The timeout: what has answered with a status has answered, even when its body never ends. */
  expire(): void {
    this.#finish(this.#status > 0 ? this.#outcome() : { kind: "failed", status: "timeout" });
  }

  /** The target stops. */
  letGo(): void {
    this.#finish(this.#status > 0 ? this.#outcome() : { kind: "aborted" });
  }

  #finish(outcome: DeliveryOutcome): void {
    this.#settle(outcome);
    this.#abort?.();
  }

  #settle(outcome: DeliveryOutcome): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#owner.ended(this);
    this.#delivery.settle(outcome);
  }

  #outcome(): DeliveryOutcome {
    const code = this.#status;
    if (code < 300) return takenOf(code);
    const facts = { status: String(code), detail: this.#detail() };
    if (code === 410) return { kind: "retired", ...facts };
    // CloudEvents webhook spec 2.1.1: redirections are not followed, the delivery has failed.
    if (code < 400 || code >= 500 || code === 408 || code === 425 || code === 429)
      return { kind: "failed", ...facts, retryAfterMs: this.#retryAfterMs };
    return { kind: "refused", ...facts };
  }

  #detail(): string | undefined {
    const text = Buffer.from(this.#excerpt, "latin1").toString("utf8");
    return text === "" ? undefined : text.replaceAll(/\p{Cc}+/gu, " ").trim();
  }

  #retryAfterOf(headers: readonly Buffer[]): number | undefined {
    for (let at = 0; at + 1 < headers.length; at += 2) {
      if (headers[at]?.toString("latin1").toLowerCase() !== "retry-after") continue;
      return parseRetryAfter(headers[at + 1]?.toString("latin1") ?? "", this.#owner.wallMs());
    }
    return undefined;
  }
}

const taken200: DeliveryOutcome = { kind: "taken", status: "200" };

function takenOf(code: number): DeliveryOutcome {
  return code === 200 ? taken200 : { kind: "taken", status: String(code) };
}

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "reset",
  EPIPE: "reset",
  UND_ERR_SOCKET: "reset",
  UND_ERR_CONNECT_TIMEOUT: "timeout",
  ETIMEDOUT: "timeout",
  ENOTFOUND: "unknown-host",
  EAI_AGAIN: "unknown-host",
};

function failureOf(error: Error): DeliveryOutcome {
  if (MeshError.is(error)) return { kind: "failed", status: "forbidden", detail: error.message };
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  return { kind: "failed", status: words[code] ?? code.toLowerCase(), detail: error.message };
}
