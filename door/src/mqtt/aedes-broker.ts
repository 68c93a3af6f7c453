import type { EventEmitter } from "node:events";
import { Aedes, type Client, type PublishPacket } from "aedes";
import type { MqttClientInfo, MqttConnection } from "./mqtt-connection.ts";
import type { MqttLimits } from "./mqtt-limits.ts";
import { dropMqttNumberCache } from "./mqtt-number-cache.ts";
import { MqttSessionStore } from "./mqtt-session-store.ts";

export interface Login {
  readonly clientId: string;
  readonly password: string | undefined;
  readonly isCleanSession: boolean;
  /** The client gave no id: the broker made one. */
  readonly isNameless: boolean;
}

export interface IncomingPublish {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: number;
}

/** CONNACK return codes of MQTT 3.1.1 that a door gives. */
export type RefusalCode = 2 | 3 | 4 | 5;

/** What the broker asks of the door that runs it. */
export interface BrokerHooks {
  /** Resolves when the client may come in; rejects with an error that has a `returnCode`. */
  login(connection: MqttConnection, login: Login): Promise<void>;
  /** Resolves when what was published is durable, or need not be acknowledged. */
  take(connection: MqttConnection, publish: IncomingPublish): Promise<void>;
  maySubscribe(info: MqttClientInfo, filter: string): boolean;
  onReady(connection: MqttConnection): void;
  onGone(connection: MqttConnection): void;
  onSubscribed(connection: MqttConnection, filter: string): void;
  onFault(error: Error): void;
  onDropped(count: number): void;
  isConnected(clientId: string): boolean;
}

const filterLengthMax = 1_024;
// Publishes that may come behind CONNECT before it is accepted; reading has stopped by then, so one chunk bounds them.
const earlyPacketsMax = 1_000;
const taken = Promise.resolve();

/**
 * aedes behind a narrow door. Used of it: the protocol, subscriptions and sessions. Not used: its routing of what clients
 * publish (that goes to the door's routes inside `authorizePublish`, before the acknowledgement, and nowhere else), its
 * $SYS messages, retained messages and stored wills.
 */
export class AedesBroker {
  readonly sessions: MqttSessionStore;
  readonly #hooks: BrokerHooks;
  readonly #limits: MqttLimits;
  readonly #connections = new WeakMap<object, MqttConnection>();
  readonly #nameless = new WeakSet<Client>();
  readonly #broker: Aedes;
  readonly #publish: Aedes["publish"];

  constructor(hooks: BrokerHooks, limits: MqttLimits) {
    dropMqttNumberCache();
    this.#hooks = hooks;
    this.#limits = limits;
    this.sessions = new MqttSessionStore({
      ...limits,
      permits: (client, filter) => this.#permits(this.#connections.get(client), filter),
      isConnected: (clientId) => hooks.isConnected(clientId),
      onDropped: (count) => hooks.onDropped(count),
    });
    this.#broker = this.#create();
    this.#publish = this.#broker.publish.bind(this.#broker);
    this.#broker.publish = neverRoute;
    this.#listenToEvents();
  }

  async start(): Promise<void> {
    await this.#broker.listen();
  }

  /** Hands over a fresh socket; its guard must be on it already. */
  accept(connection: MqttConnection): void {
    this.#connections.set(this.#broker.handle(connection.socket), connection);
  }

  /** Hands a message to all live subscribers' sockets, and to the queues of absent ones that keep a session. */
  publishTo(topic: string, payload: Uint8Array, qos: 0 | 1): Promise<void> {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    return new Promise((resolve, reject) => {
      this.#publish(
        { cmd: "publish", topic, payload: bytes, qos, retain: false, dup: false },
        (error) => (error ? reject(error) : resolve()),
      );
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#broker.close(() => resolve()));
  }

  #create(): Aedes {
    return new Aedes({
      persistence: this.sessions,
      connectTimeout: this.#limits.connectTimeoutMs,
      // The guard's `write` never asks to wait, so there is nothing to time out.
      drainTimeout: 0,
      queueLimit: earlyPacketsMax,
      preConnect: (client, packet, done) => {
        if (packet.clientId === "") this.#nameless.add(client);
        done(null, true);
      },
      authenticate: (client, ...[, password, done]) => {
        this.#login(client, password).then(
          () => done(null, true),
          (error: unknown) => done(toRefusal(error), false),
        );
      },
      authorizePublish: (client, packet, done) => this.#authorizePublish(client, packet, done),
      authorizeSubscribe: (client, subscription, done) => {
        const connection = this.#connections.get(client);
        const isPermitted = this.#permits(connection, subscription.topic);
        if (isPermitted) connection?.filters.add(subscription.topic);
        done(null, isPermitted ? subscription : null);
      },
      authorizeForward: (client, packet) =>
        this.#permits(this.#connections.get(client), packet.topic) ? packet : null,
    });
  }

  async #login(client: Client, password: Readonly<Buffer | undefined>): Promise<void> {
    const connection = this.#connections.get(client);
    if (!connection) throw new Error("The connection is not known");
    await this.#hooks.login(connection, {
      clientId: client.id,
      password: password?.toString("utf8"),
      isCleanSession: client.clean,
      isNameless: this.#nameless.has(client),
    });
  }

  #authorizePublish(
    client: Client | null,
    packet: PublishPacket,
    done: (error?: Error | null) => void,
  ): void {
    const connection = client ? this.#connections.get(client) : undefined;
    if (!client || !connection) {
      done(new Error("The connection is not known"));
      return;
    }
    const taking = this.#isRepeated(client.id, packet)
      ? taken
      : this.#hooks.take(connection, publishOf(packet));
    // A will comes when its connection has ended: its order among the publishes means nothing any more.
    if (client.closed) taking.then(() => done(), done);
    else connection.publishes.add(taking, (error) => acknowledge(error, done));
  }

  /** A QoS 2 publish that was stored and comes again is not stored again ([MQTT-4.3.3-2]). */
  #isRepeated(clientId: string, packet: PublishPacket): boolean {
    if (packet.qos !== 2 || packet.messageId === undefined) return false;
    return this.sessions.hasTaken(clientId, packet.messageId);
  }

  #permits(connection: MqttConnection | undefined, filter: string): boolean {
    const info = connection?.info;
    if (!connection || !info || filter.length > filterLengthMax) return false;
    // $SYS is nobody's business, and shared subscriptions ($share) would be taken as literal filters.
    if (filter.startsWith("$")) return false;
    const isNew = !connection.filters.has(filter);
    if (isNew && connection.filters.size >= this.#limits.subscriptionsMax) return false;
    return this.#hooks.maySubscribe(info, filter);
  }

  #listenToEvents(): void {
    const broker = this.#broker;
    const hooks = this.#hooks;
    (broker as EventEmitter).on("error", (error: Error) => hooks.onFault(error));
    broker.on("connectionError", (client, error) => this.#onClientError(client, error));
    broker.on("clientError", (client, error) => this.#onClientError(client, error));
    broker.on("clientReady", (client) => this.#onReady(client));
    broker.on("clientDisconnect", (client) => {
      const connection = this.#connections.get(client);
      if (connection) hooks.onGone(connection);
    });
    broker.on("subscribe", (subscriptions, client) => {
      const connection = this.#connections.get(client);
      for (const { topic, qos } of subscriptions) {
        // aedes marks what was denied with the SUBACK's failure code.
        if (connection && (qos as number) < 128) hooks.onSubscribed(connection, topic);
      }
    });
    broker.on("unsubscribe", (filters, client) => {
      const connection = this.#connections.get(client);
      for (const filter of filters) connection?.filters.delete(filter);
    });
  }

  #onReady(client: Client): void {
    const connection = this.#connections.get(client);
    if (!connection) return;
    this.#hooks.onReady(connection);
    if (client.clean) return;
    // aedes restores a kept session without telling: whoever answers a subscription must answer this one too.
    for (const filter of this.sessions.filtersOf(client.id)) {
      if (this.#permits(connection, filter)) this.#hooks.onSubscribed(connection, filter);
    }
  }

  #onClientError(client: Client, error: Error): void {
    const connection = this.#connections.get(client);
    if (connection) connection.fault = error;
    if (!client.conn.destroyed) client.conn.destroy();
  }
}

/**
 * What aedes does after a publish was authorised: nothing. Whatever a client published was taken by its route before, and
 * $SYS messages are not made: so nothing is retained, queued or handed to subscribers that did not come by `publishTo`.
 */
function neverRoute(_packet: PublishPacket, second: unknown, third?: unknown): void {
  const done = typeof second === "function" ? second : third;
  if (typeof done === "function") Reflect.apply(done, undefined, []);
}

function acknowledge(error: Error | undefined, done: (error?: Error | null) => void): void {
  if (!error) done();
  // The acknowledgements before it were written a moment ago: let them leave before the socket is closed.
  else setImmediate(() => setImmediate(() => done(error)));
}

function publishOf(packet: PublishPacket): IncomingPublish {
  const { topic, payload, qos } = packet;
  return { topic, qos, payload: typeof payload === "string" ? Buffer.from(payload) : payload };
}

function toRefusal(thrown: unknown): Error & { returnCode: number } {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const returnCode = "returnCode" in error ? Number(error.returnCode) : 3;
  return Object.assign(error, { returnCode });
}
