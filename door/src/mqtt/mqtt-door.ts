import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { MeshError, type Clock, type Logger, type Part, type Timer } from "@fleetmesh/core";
import type { Admission } from "../auth/admission.ts";
import type { Principal } from "../auth/authenticator.ts";
import { listen } from "../http/listen-address.ts";
import type { DoorMetrics } from "../telemetry/door-metrics.ts";
import { LogBudget } from "../telemetry/log-budget.ts";
import { AedesBroker, type IncomingPublish, type Login } from "./aedes-broker.ts";
import { ConnectionLimit } from "./connection-limit.ts";
import { assertClientId, LoginRefusal } from "./login.ts";
import { MqttConnection, type DisconnectReason, type MqttClientInfo } from "./mqtt-connection.ts";
import { mqttLimitsDefault, type MqttLimits } from "./mqtt-limits.ts";
import { PacketFraming } from "./packet-framing.ts";
import type { PublishRoute } from "./route.ts";
import { guardSocket } from "./socket-guard.ts";
import { matchesFilter } from "./topic-filter.ts";

/** What a runtime wants to know of its clients. None may throw. */
export interface MqttDoorHooks {
  readonly onConnected?: (client: MqttClientInfo) => void;
  readonly onDisconnected?: (client: MqttClientInfo, reason: DisconnectReason) => void;
  /** After the SUBACK, or when a kept session comes back: what is published from now on reaches the client. */
  readonly onSubscribed?: (client: MqttClientInfo, filter: string) => void;
}

export interface MqttDoorOptions {
  readonly name?: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls?: TlsOptions;
  readonly admission: Admission;
  readonly routes: readonly PublishRoute[];
  /** Also asked with the topic of each message that is about to be sent. Default: nobody subscribes to anything. */
  readonly maySubscribe?: (principal: Principal, clientId: string, filter: string) => boolean;
  readonly hooks?: MqttDoorHooks;
  readonly metrics: DoorMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<MqttLimits>;
}

const sweepMs = 1_000;
const goneMsMax = 100;

/**
 * MQTT 3.1.1 in, for events and agent batches; downlink messages out.
 * Guarantees: PUBACK and PUBREC only after the route has it durably, in the order of the publishes; a publish that no route
 * takes closes the connection; clients reach each other only through what the process itself sends with `publishTo`.
 * Sessions (clean=false) live in memory: after a restart a client finds a fresh one, and subscribes again.
 */
export class MqttDoor implements Part {
  readonly name: string;
  readonly #options: MqttDoorOptions;
  readonly #limits: MqttLimits;
  readonly #perAddress: ConnectionLimit;
  readonly #log: LogBudget;
  readonly #open = new Set<MqttConnection>();
  readonly #live = new Map<string, MqttConnection>();
  #broker: AedesBroker | undefined;
  #server: Server | undefined;
  #sweep: Timer | undefined;
  #isStopping = false;
  #lastId = 0;
  #taking = 0;
  #idle: (() => void) | undefined;

  constructor(options: MqttDoorOptions) {
    this.name = options.name ?? "mqtt";
    this.#options = options;
    this.#limits = { ...mqttLimitsDefault, ...options.limits };
    this.#log = new LogBudget(options.clock);
    this.#perAddress = new ConnectionLimit(this.#limits.connectionsPerAddressMax);
  }

  /** The port in use: with `port: 0` the one that the system chose; 0 while stopped. */
  get port(): number {
    const address: AddressInfo | string | null | undefined = this.#server?.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  get connectionCount(): number {
    return this.#open.size;
  }

  /** The clients that are connected now, each client id once. */
  clients(): MqttClientInfo[] {
    return [...this.#live.values()].flatMap(({ info, isAnnounced }) =>
      info && isAnnounced ? [info] : [],
    );
  }

  async start(): Promise<void> {
    if (this.#server) return;
    this.#isStopping = false;
    const broker = this.#createBroker();
    const server = this.#createServer();
    await listen(server, this.#options.listen);
    await broker.start();
    server.on("error", (error) => this.#options.logger.error({ err: error }, "Server failed."));
    this.#broker = broker;
    this.#server = server;
    this.#scheduleSweep();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#isStopping = true;
    this.#server = undefined;
    this.#sweep?.cancel();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await this.#settled(deadline);
    await this.#broker?.close();
    for (const connection of this.#open) connection.socket.destroy();
    await closed;
    this.#broker = undefined;
  }

  /**
   * Sends a message to all clients that subscribe to the topic. Resolves when it is in their sockets or, for absent clients
   * that keep a session, in their bounded queues; it promises no receipt. Does nothing while stopped.
   */
  async publishTo(topic: string, payload: Uint8Array, qos: 0 | 1 = 1): Promise<void> {
    if (this.#server) await this.#broker?.publishTo(topic, payload, qos);
  }

  /** How many of the clients that are connected now subscribe to the topic. */
  receiverCount(topic: string): number {
    const isReceiver = ([clientId, { filters }]: [string, MqttConnection]): boolean => {
      // Of this connection, and those that a kept session brought along.
      const all = [...filters, ...(this.#broker?.sessions.filtersOf(clientId) ?? [])];
      return all.some((filter) => matchesFilter(filter, topic));
    };
    return [...this.#live].filter(isReceiver).length;
  }

  /** Closes a connection, e.g. of a cloned agent. The client may come again. */
  disconnect(connectionId: number, reason: string): void {
    for (const connection of this.#live.values()) {
      if (connection.id === connectionId) this.#cut(connection, reason);
    }
  }

  #createBroker(): AedesBroker {
    const { logger, metrics, maySubscribe, hooks } = this.#options;
    return new AedesBroker(
      {
        login: (connection, login) => this.#login(connection, login),
        take: (connection, publish) => this.#take(connection, publish),
        maySubscribe: ({ principal, clientId }, filter) =>
          maySubscribe?.(principal, clientId, filter) ?? false,
        onReady: (connection) => this.#onReady(connection),
        onGone: (connection) => this.#onGone(connection),
        onSubscribed: ({ info }, filter) => info && hooks?.onSubscribed?.(info, filter),
        onFault: (error) => logger.error({ err: error }, "The broker failed at one message."),
        onDropped: (count) => metrics.downlinkDropped("offline_queue_full", count),
        isConnected: (clientId) => this.#live.has(clientId),
      },
      this.#limits,
    );
  }

  #createServer(): Server {
    const { tls, metrics, logger } = this.#options;
    const { connectionsMax, connectTimeoutMs } = this.#limits;
    const onSocket = (socket: Socket): void => this.#accept(socket);
    const server = tls
      ? createTlsServer({ ...tls, handshakeTimeout: connectTimeoutMs }, onSocket)
      : createServer({ noDelay: true, highWaterMark: 64 * 1024 }, onSocket);
    server.maxConnections = connectionsMax;
    server.on("drop", () => metrics.connectionRefused("too_many"));
    server.on("tlsClientError", (error: Error) => {
      metrics.connectionRefused("tls");
      logger.debug({ err: error }, "TLS handshake failed.");
    });
    return server;
  }

  #accept(socket: Socket): void {
    socket.on("error", () => undefined);
    const framing = new PacketFraming(this.#limits.connectBytesMax);
    const connection = new MqttConnection(++this.#lastId, socket, framing);
    if (this.#isStopping || !this.#perAddress.enter(connection.address)) {
      this.#options.metrics.connectionRefused(this.#isStopping ? "stopping" : "too_many");
      socket.destroy();
      return;
    }
    this.#open.add(connection);
    // A peer that vanished without a word and asked for no MQTT keep-alive is found by TCP's.
    socket.setKeepAlive(true, 30_000);
    socket.once("close", () => this.#onClosed(connection));
    guardSocket(socket, {
      framing,
      outputBytesMax: this.#limits.outputBytesMax,
      onRefused: (reason) => this.#cut(connection, reason),
    });
    this.#broker?.accept(connection);
  }

  async #login(connection: MqttConnection, login: Login): Promise<void> {
    if (this.#isStopping) throw new LoginRefusal(3, "The process is stopping");
    const { clientId, isCleanSession } = login;
    // [MQTT-3.1.3-8]
    if (login.isNameless && !isCleanSession) {
      throw new LoginRefusal(2, "A client without an id must ask for a clean session");
    }
    assertClientId(clientId);
    const principal = await this.#admit(login.password, connection.address);
    await this.#takeOver(clientId, principal);
    if (connection.socket.destroyed) throw new LoginRefusal(3, "The connection is closed");
    connection.info = {
      connectionId: connection.id,
      clientId,
      principal,
      address: connection.address,
      connectedMs: this.#options.clock.monotonicMs(),
      isCleanSession,
    };
    this.#live.set(clientId, connection);
    this.#broker?.sessions.claim(clientId, principal.name);
    connection.framing.raiseTo(this.#limits.packetBytesMax);
  }

  async #admit(token: string | undefined, address: string): Promise<Principal> {
    const { admission } = this.#options;
    try {
      return await admission.admit(token, address);
    } catch (thrown) {
      throw LoginRefusal.from(thrown);
    }
  }

  /** [MQTT-3.1.4-2]: the newer connection wins, but only over its own principal's: nobody is put out by a stranger. */
  async #takeOver(clientId: string, principal: Principal): Promise<void> {
    for (;;) {
      const older = this.#live.get(clientId);
      if (!older) return;
      if (older.info?.principal.name !== principal.name) {
        this.#options.metrics.authRejected("client_id_in_use");
        throw new LoginRefusal(2, "The client id is in use by another principal");
      }
      older.isTakenOver = true;
      older.socket.destroy();
      await older.gone;
    }
  }

  async #take(connection: MqttConnection, publish: IncomingPublish): Promise<void> {
    this.#taking += 1;
    try {
      await this.#route(connection, publish);
    } catch (thrown) {
      const error = MeshError.from(thrown);
      this.#onRefused(connection, publish, error);
      // Nobody waits for an acknowledgement of QoS 0: when the failure will pass, closing would only cost a reconnect.
      if (publish.qos > 0 || !error.retryable) throw error;
    } finally {
      this.#taking -= 1;
      if (this.#taking === 0) this.#idle?.();
    }
  }

  #route({ info, id }: MqttConnection, { topic, payload }: IncomingPublish): Promise<void> {
    if (!info) throw new MeshError("NOT_PERMITTED", "The connection is not logged in");
    if (this.#isStopping) throw new MeshError("STOPPING", "The process is stopping");
    const { principal, clientId } = info;
    for (const route of this.#options.routes) {
      if (!topic.startsWith(route.prefix)) continue;
      const rest = topic.slice(route.prefix.length);
      return route.take({ rest, payload, principal, clientId, connectionId: id });
    }
    throw new MeshError("NOT_PERMITTED", "Nothing is published under this topic");
  }

  #onRefused(connection: MqttConnection, publish: IncomingPublish, error: MeshError): void {
    const { metrics, logger } = this.#options;
    metrics.rejected("mqtt", error.code);
    const { kind, code, message } = error;
    const topic = publish.topic.slice(0, 250);
    const facts = { clientId: connection.info?.clientId, topic, kind, code, reason: message };
    this.#log.spend((leftOut) => {
      if (kind === "INTERNAL") logger.error({ ...facts, leftOut, err: error }, "Publish refused.");
      else logger.warn({ ...facts, leftOut }, "Publish refused.");
    });
  }

  #onReady(connection: MqttConnection): void {
    if (!connection.info) return;
    connection.isAnnounced = true;
    this.#options.hooks?.onConnected?.(connection.info);
  }

  #onClosed(connection: MqttConnection): void {
    this.#open.delete(connection);
    this.#perAddress.leave(connection.address);
    // The broker says when it has let go; should it have nothing to say, the wait for it has a bound.
    this.#options.clock.setTimer(goneMsMax, () => this.#onGone(connection));
  }

  #onGone(connection: MqttConnection): void {
    connection.markGone();
    const { info } = connection;
    if (!info || this.#live.get(info.clientId) !== connection) return;
    this.#live.delete(info.clientId);
    this.#broker?.sessions.leave(info.clientId);
    if (!connection.isAnnounced) return;
    const reason = connection.isTakenOver ? "taken-over" : "closed";
    this.#options.hooks?.onDisconnected?.(info, reason);
  }

  #cut(connection: MqttConnection, reason: string): void {
    if (connection.socket.destroyed) return;
    const { metrics, logger } = this.#options;
    metrics.connectionRefused(reason);
    const { info, address } = connection;
    const facts = { clientId: info?.clientId, address, reason };
    this.#log.spend((leftOut) => {
      logger.info({ ...facts, leftOut }, "Connection closed by the door.");
    });
    connection.socket.destroy();
  }

  #scheduleSweep(): void {
    this.#sweep = this.#options.clock.setTimer(sweepMs, () => {
      this.#closeOver();
      this.#closeLargestOutput();
      if (!this.#isStopping) this.#scheduleSweep();
    });
  }

  /** A connection must not outlive its token. */
  #closeOver(): void {
    for (const connection of this.#live.values()) {
      if (!connection.info || !this.#options.admission.isOver(connection.info.principal)) continue;
      this.#options.metrics.authRejected("over");
      this.#cut(connection, "token_over");
    }
  }

  #closeLargestOutput(): void {
    const waiting = [...this.#open].filter(({ socket }) => socket.writableLength > 0);
    let total = waiting.reduce((sum, { socket }) => sum + socket.writableLength, 0);
    if (total <= this.#limits.outputBytesTotalMax) return;
    waiting.sort((one, other) => other.socket.writableLength - one.socket.writableLength);
    for (const connection of waiting) {
      if (total <= this.#limits.outputBytesTotalMax) return;
      total -= connection.socket.writableLength;
      this.#cut(connection, "slow_subscriber");
    }
  }

  /** Resolves when no publish is in a route's hands, or at the deadline. */
  #settled(deadline: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      // Two turns of the event loop let the last acknowledgements leave.
      const settle = (): void => void setImmediate(() => setImmediate(resolve));
      if (this.#taking === 0 || deadline.aborted) {
        settle();
        return;
      }
      this.#idle = settle;
      deadline.addEventListener("abort", settle, { once: true });
    });
  }
}
