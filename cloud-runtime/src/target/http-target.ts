import { isIP } from "node:net";
import {
  encodeStructured,
  MeshError,
  type Chance,
  type Clock,
  type MeshEvent,
} from "@fleetmesh/core";
import { buildConnector, Pool } from "undici";
import type { Subscription } from "../metadata/metadata.ts";
import {
  assertPublicHost,
  hostOf,
  isPublicAddress,
  publicLookup,
  sinkForbidden,
} from "./address-guard.ts";
import { PushRequest, type PushOwner } from "./push-request.ts";
import type { Delivery, Target } from "./target.ts";
import { TimerWheel } from "./timer-wheel.ts";
import { TraceParent } from "./trace-parent.ts";
import { eventIdentity } from "./webhook-id.ts";
import { signingKey, webhookSignature } from "./webhook-signature.ts";

export interface HttpTargetOptions {
  readonly clock: Clock;
  readonly chance: Chance;
  /** Loopback and private sinks are allowed; for development. */
  readonly allowPrivateSinks: boolean;
}

const connectTimeoutMsMax = 10_000;

/** Pushes CloudEvents in structured mode over keep-alive connections of its own: a slow sink holds up nobody else's. */
export class HttpTarget implements Target, PushOwner {
  readonly kind = "http";
  readonly #clock: Clock;
  readonly #wheel: TimerWheel;
  readonly #trace: TraceParent;
  readonly #pool: Pool;
  readonly #path: string;
  readonly #method: "POST" | "PUT";
  readonly #headers: readonly string[];
  readonly #signingKey: Buffer | undefined;
  readonly #requests = new Set<PushRequest>();
  #isStopped = false;

  constructor(subscription: Subscription, options: HttpTargetOptions) {
    const url = new URL(subscription.sink);
    if (!options.allowPrivateSinks) assertPublicHost(hostOf(url));
    this.#clock = options.clock;
    this.#wheel = new TimerWheel(options.clock);
    this.#trace = new TraceParent(options.chance);
    this.#path = url.pathname + url.search;
    this.#method = subscription.protocolsettings["method"] === "PUT" ? "PUT" : "POST";
    this.#headers = fixedHeaders(subscription);
    const secret = subscription.delivery.signing?.secret;
    this.#signingKey = secret === undefined ? undefined : signingKey(secret);
    this.#pool = openPool(url.origin, subscription, options.allowPrivateSinks);
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  deliver(delivery: Delivery): void {
    const request = new PushRequest(this, delivery);
    this.#requests.add(request);
    if (this.#isStopped) {
      queueMicrotask(() => request.letGo());
      return;
    }
    this.#wheel.add(request, delivery.timeoutMs);
    try {
      const body = bodyOf(delivery.event);
      const headers = this.#headersOf(delivery, body);
      this.#pool.dispatch({ path: this.#path, method: this.#method, headers, body }, request);
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error));
      queueMicrotask(() => request.onError(failure));
    }
  }

  ended(request: PushRequest): void {
    this.#requests.delete(request);
    this.#wheel.remove(request);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const request of [...this.#requests]) request.letGo();
    this.#wheel.stop();
    await this.#pool.destroy();
  }

  #headersOf(delivery: Delivery, body: Buffer): string[] {
    const { event } = delivery;
    const { webhookId, traceId } = eventIdentity(event, delivery.subscription);
    const timestampSeconds = Math.floor(this.#clock.wallMs() / 1_000);
    const headers = [
      ...this.#headers,
      "webhook-id",
      webhookId,
      "webhook-timestamp",
      String(timestampSeconds),
      "traceparent",
      this.#trace.next(event, traceId),
    ];
    if (this.#signingKey) {
      const content = { id: webhookId, timestampSeconds, body };
      headers.push("webhook-signature", webhookSignature(this.#signingKey, content));
    }
    if (delivery.isRedriven) headers.push("mesh-redriven", "true");
    return headers;
  }
}

function bodyOf(event: MeshEvent): Buffer {
  const bytes = encodeStructured(event);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function fixedHeaders(subscription: Subscription): string[] {
  const headers = ["content-type", "application/cloudevents+json; charset=utf-8"];
  const custom = subscription.protocolsettings["headers"];
  for (const [name, value] of Object.entries(custom ?? {})) headers.push(name, String(value));
  const credential = subscription.sinkcredential;
  if (credential) headers.push("authorization", authorizationOf(credential));
  return headers;
}

function authorizationOf(credential: Readonly<Record<string, string>>): string {
  if (credential["credentialtype"] === "PLAIN") {
    const pair = `${credential["identifier"] ?? ""}:${credential["secret"] ?? ""}`;
    return `Basic ${Buffer.from(pair).toString("base64")}`;
  }
  if (credential["credentialtype"] === "ACCESSTOKEN")
    return `Bearer ${credential["accesstoken"] ?? ""}`;
  throw new MeshError("SUBSCRIPTION_INVALID", "sinkcredential.credentialtype is not supported");
}

/** As many connections as the window has places: nothing ever queues inside the client. The wheel owns all timeouts. */
function openPool(origin: string, subscription: Subscription, allowPrivate: boolean): Pool {
  const { windowMax, timeoutMs } = subscription.delivery;
  const timeout = Math.min(connectTimeoutMsMax, timeoutMs);
  const plain = buildConnector(allowPrivate ? { timeout } : { timeout, lookup: publicLookup });
  const connect: buildConnector.connector = (options, callback) => {
    // An address in the URL never meets the resolver, so it is checked here.
    const isForbidden = isIP(options.hostname) !== 0 && !isPublicAddress(options.hostname);
    if (isForbidden && !allowPrivate) callback(sinkForbidden(options.hostname), null);
    else plain(options, callback);
  };
  return new Pool(origin, { connections: windowMax, connect, headersTimeout: 0, bodyTimeout: 0 });
}
