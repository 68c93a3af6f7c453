import type { Clock } from "@fleetmesh/core";
import type { Subscription } from "../metadata/metadata.ts";
import type { AccessTokenSource } from "./access-token.ts";
import { AccessTokens, type AccessTokensOptions } from "./access-tokens.ts";
import { AddressGuard, hostOf } from "./address-guard.ts";
import { AuthorizedDelivery } from "./authorized-delivery.ts";
import { secureContextOf } from "./client-identity.ts";
import { HttpConnection, type ConnectionOwner, type HttpEndpoint } from "./http-connection.ts";
import { failureOf } from "./push-outcome.ts";
import { PushWriter } from "./push-writer.ts";
import { SecretScrubber } from "./secret-scrubber.ts";
import type { Delivery, Target } from "./target.ts";
import { Ticks } from "./ticks.ts";

export interface HttpTargetOptions extends AccessTokensOptions {
  /** Who we say we are to sinks that were asked for their consent. */
  readonly origin?: string | undefined;
  /** Shared by all targets; one of its own when left out. */
  readonly tokens?: AccessTokens;
}

const connectTimeoutMs = 10_000;
const deadlineTickMs = 50;
const idleTickMs = 1_000;
/** What most servers keep, where they do not say it; and the longest that is kept. */
const keepAliveSecondsDefault = 5;
const keepAliveSecondsMax = 600;

/**
 * Pushes CloudEvents in structured mode over keep-alive connections of its own: a slow sink holds up nobody else's. A delivery
 * has a connection for itself, so the caller's window is the number of connections too.
 */
export class HttpTarget implements Target, ConnectionOwner {
  readonly kind = "http";
  readonly #clock: Clock;
  readonly #writer: PushWriter;
  readonly #endpoint: HttpEndpoint;
  readonly #connections = new Set<HttpConnection>();
  /** The last one used comes first: what a slack time has no use for grows old and is closed. */
  readonly #idle: HttpConnection[] = [];
  readonly #deadlines: Ticks;
  readonly #idleTicks: Ticks;
  readonly #tokens: AccessTokenSource | undefined;
  readonly #scrubber: SecretScrubber;
  /** Those that need a token that is fetched: waiting for it, or in flight. */
  readonly #authorized = new Set<AuthorizedDelivery>();
  #isStopped = false;

  constructor(subscription: Subscription, options: HttpTargetOptions) {
    const { clock } = options;
    this.#clock = clock;
    this.#endpoint = endpointOf(subscription, new AddressGuard(options));
    const { tokens = new AccessTokens(options) } = options;
    this.#tokens = tokens.of(subscription);
    const hasAuthorization = this.#tokens !== undefined;
    this.#writer = new PushWriter(subscription, { ...options, hasAuthorization });
    this.#scrubber = new SecretScrubber(subscription, () => this.#tokens?.secrets ?? []);
    this.#deadlines = new Ticks({
      ...{ clock, periodMs: deadlineTickMs },
      onTick: () => this.#expire(),
    });
    this.#idleTicks = new Ticks({
      ...{ clock, periodMs: idleTickMs },
      onTick: () => this.#closeIdle(),
    });
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  scrub(text: string): string {
    return this.#scrubber.scrub(text);
  }

  deliver(delivery: Delivery): void {
    if (this.#isStopped) {
      queueMicrotask(() => delivery.settle({ kind: "aborted" }));
      return;
    }
    if (this.#tokens) this.#authorize(delivery, this.#tokens);
    else this.#trySend(delivery);
  }

  freed(connection: HttpConnection): void {
    connection.idleSince = this.#idleTicks.count;
    this.#idle.push(connection);
  }

  closed(connection: HttpConnection): void {
    this.#connections.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  stop(): Promise<void> {
    this.#isStopped = true;
    this.#deadlines.stop();
    this.#idleTicks.stop();
    for (const connection of [...this.#connections]) connection.letGo();
    for (const waiting of [...this.#authorized]) waiting.settle({ kind: "aborted" });
    return Promise.resolve();
  }

  #authorize(delivery: Delivery, source: AccessTokenSource): void {
    const authorized = new AuthorizedDelivery(
      delivery,
      {
        ...{ source, clock: this.#clock },
        send: (sent, authorization) => this.#trySend(sent, authorization),
      },
      (settled) => this.#authorized.delete(settled),
    );
    this.#authorized.add(authorized);
    authorized.start();
  }

  #trySend(delivery: Delivery, authorization?: string): void {
    try {
      this.#send(delivery, authorization);
    } catch (error) {
      const failure = failureOf(error instanceof Error ? error : new Error(String(error)));
      queueMicrotask(() => delivery.settle(failure));
    }
  }

  #send(delivery: Delivery, authorization?: string): void {
    const request = this.#writer.write(delivery, authorization);
    const connection = this.#idle.pop() ?? this.#open();
    const isWritten = connection.send(delivery, request, {
      connect: this.#deadlines.after(connectTimeoutMs),
      answer: this.#deadlines.after(delivery.timeoutMs),
    });
    if (!isWritten) this.#writer.keepLast();
    this.#deadlines.run();
  }

  #open(): HttpConnection {
    const connection = new HttpConnection(this, this.#endpoint);
    this.#connections.add(connection);
    this.#idleTicks.run();
    return connection;
  }

  #expire(): boolean {
    for (const connection of [...this.#connections]) connection.expire(this.#deadlines.count);
    return this.#connections.size > this.#idle.length;
  }

  /** A second before the other side does, so that no request meets a connection that is being closed. */
  #closeIdle(): boolean {
    for (const connection of [...this.#idle]) {
      const seconds = connection.keepAliveSeconds ?? keepAliveSecondsDefault;
      const ticksMax = Math.min(seconds, keepAliveSecondsMax) - 1;
      if (this.#idleTicks.count - connection.idleSince >= ticksMax) connection.letGo();
    }
    return this.#connections.size > 0;
  }
}

/** The address in a URL is judged here, that of a name when it is looked up. */
function endpointOf(subscription: Subscription, guard: AddressGuard): HttpEndpoint {
  const url = new URL(subscription.sink);
  const host = hostOf(url);
  guard.assertHost(host);
  const isTls = url.protocol === "https:";
  const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
  const secureContext = secureContextOf(subscription.protocolsettings);
  return { isTls, host, port, lookup: guard.lookup, secureContext, session: undefined };
}
