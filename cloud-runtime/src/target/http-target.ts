import type { Clock } from "@fleetmesh/core";
import type { Subscription } from "../metadata/metadata.ts";
import type { AccessTokenSource } from "./access-token.ts";
import { AccessTokens, type AccessTokensOptions } from "./access-tokens.ts";
import { AddressGuard, hostOf } from "./address-guard.ts";
import { AuthorizedDelivery } from "./authorized-delivery.ts";
import { secureContextOf } from "./client-identity.ts";
import { HostConnections } from "./host-connections.ts";
import { HttpConnection, type ConnectionOwner, type HttpEndpoint } from "./http-connection.ts";
import { failureOf } from "./push-outcome.ts";
import { PushWriter } from "./push-writer.ts";
import { SecretScrubber } from "./secret-scrubber.ts";
import type { Delivery, Target } from "./target.ts";
import { Ticks } from "./ticks.ts";

export interface HttpTargetOptions extends AccessTokensOptions {
  /** Who we say we are to sinks that were asked for their consent. */
  readonly origin?: string | undefined;
  /** Shared by all targets; of its own when left out. */
  readonly tokens?: AccessTokens;
  readonly hosts?: HostConnections;
}

const connectTimeoutMs = 10_000;
const deadlineTickMs = 50;
const connectionsPerHostDefault = 1_024;
const idleTickMs = 1_000;
/** What most servers keep, where they do not say it; and the longest that is kept. */
const keepAliveSecondsDefault = 5;
const keepAliveSecondsMax = 600;

interface Waiting {
  readonly delivery: Delivery;
  readonly authorization: string | undefined;
  readonly tick: number;
}

/**
 * Pushes CloudEvents in structured mode over keep-alive connections of its own: a slow sink holds up nobody else's. A delivery
 * has a connection for itself, so the caller's window is the number of connections too, as far as the host's share allows.
 */
export class HttpTarget implements Target, ConnectionOwner {
  readonly kind = "http";
  readonly #clock: Clock;
  readonly #writer: PushWriter;
  readonly #endpoint: HttpEndpoint;
  readonly #connections = new Set<HttpConnection>();
  /** The last one used comes first: what a slack time has no use for grows old and is closed. */
  readonly #idle: HttpConnection[] = [];
  /** Those for which there is no connection yet, and the tick at which each gives up. */
  readonly #waiting: Waiting[] = [];
  readonly #hosts: HostConnections;
  readonly #hostName: string;
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
    const { tokens = new AccessTokens(options), hosts } = options;
    this.#hosts = hosts ?? new HostConnections(connectionsPerHostDefault);
    this.#hostName = `${this.#endpoint.host}:${this.#endpoint.port}`;
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

  get placesMax(): number {
    return this.#hosts.shareOf(this.#hostName, this.#connections.size > 0);
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
    if (this.#connections.size > this.placesMax) {
      // Others push there too by now.
      connection.letGo();
      return;
    }
    connection.idleSince = this.#idleTicks.count;
    this.#idle.push(connection);
    this.#sendNext();
  }

  closed(connection: HttpConnection): void {
    this.#connections.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    if (this.#connections.size === 0) this.#hosts.leave(this.#hostName);
    if (!this.#isStopped) this.#sendNext();
  }

  stop(): Promise<void> {
    this.#isStopped = true;
    this.#deadlines.stop();
    this.#idleTicks.stop();
    for (const connection of [...this.#connections]) connection.letGo();
    for (const { delivery } of this.#waiting.splice(0)) delivery.settle({ kind: "aborted" });
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
    const waiting = { delivery, authorization, tick: this.#deadlines.after(delivery.timeoutMs) };
    if (this.#hasPlace) {
      this.#send(waiting);
      return;
    }
    this.#waiting.push(waiting);
    this.#deadlines.run();
  }

  get #hasPlace(): boolean {
    return this.#idle.length > 0 || this.#connections.size < this.placesMax;
  }

  #sendNext(): void {
    while (this.#waiting.length > 0 && this.#hasPlace) {
      const next = this.#waiting.shift();
      if (next) this.#send(next);
    }
  }

  #send(waiting: Waiting): void {
    try {
      this.#write(waiting);
    } catch (error) {
      const failure = failureOf(error instanceof Error ? error : new Error(String(error)));
      queueMicrotask(() => waiting.delivery.settle(failure));
    }
  }

  #write({ delivery, authorization, tick }: Waiting): void {
    const request = this.#writer.write(delivery, authorization);
    const connection = this.#idle.pop() ?? this.#open();
    const isWritten = connection.send(delivery, request, {
      connect: this.#deadlines.after(connectTimeoutMs),
      answer: tick,
    });
    if (!isWritten) this.#writer.keepLast();
    this.#deadlines.run();
  }

  #open(): HttpConnection {
    const connection = new HttpConnection(this, this.#endpoint);
    if (this.#connections.size === 0) this.#hosts.join(this.#hostName);
    this.#connections.add(connection);
    this.#idleTicks.run();
    return connection;
  }

  #expire(): boolean {
    for (const connection of [...this.#connections]) connection.expire(this.#deadlines.count);
    this.#expireWaiting();
    return this.#connections.size > this.#idle.length || this.#waiting.length > 0;
  }

  #expireWaiting(): void {
    const tick = this.#deadlines.count;
    const late = this.#waiting.filter((waiting) => tick >= waiting.tick);
    if (late.length === 0) return;
    const rest = this.#waiting.filter((waiting) => tick < waiting.tick);
    this.#waiting.splice(0, this.#waiting.length, ...rest);
    for (const { delivery } of late) delivery.settle({ kind: "failed", status: "timeout" });
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
