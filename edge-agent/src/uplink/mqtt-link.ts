import { createRequire } from "node:module";
import { Socket } from "node:net";
import { decodeAck, MeshError, type AgentAck, type Logger } from "@fleetmesh/core";
import type * as Mqtt from "mqtt";
import type { IClientOptions, IPublishPacket, MqttClient } from "mqtt";
import type { LinkConnection, UplinkLink } from "./link.ts";

// By `import`, Node parses the whole package once more for the names it exports: 6 MB that stay, and 50 ms of the start.
const { connect } = createRequire(import.meta.url)("mqtt") as typeof Mqtt;

export interface MqttLinkOptions {
  /** mqtt:// or mqtts:// */
  readonly url: string;
  readonly agentId: string;
  readonly username: string;
  /** Asked for on each connection, so that a renewed token is used without a restart. */
  readonly token: () => string | undefined;
  readonly keepaliveSeconds: number;
  readonly connectTimeoutMs: number;
  readonly tls?: MqttTls | undefined;
  /** Larger messages are refused before they are parsed for good; the acknowledgement's bound. */
  readonly messageBytesMax: number;
  readonly logger: Logger;
}

export interface MqttTls {
  readonly ca?: Buffer | undefined;
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
}

/**
 * The uplink over MQTT 3.1.1, QoS 1. A fresh client for each connection and no reconnecting by the client itself: its own
 * queue and replay would be a second, volatile one beside the buffer. The session is clean: what an earlier connection
 * left unsaid comes again with the answer to the hello.
 */
export class MqttLink implements UplinkLink {
  readonly #options: MqttLinkOptions;

  constructor(options: MqttLinkOptions) {
    this.#options = options;
  }

  async connect(signal: AbortSignal): Promise<LinkConnection> {
    if (signal.aborted) throw new MeshError("STOPPING", "The agent is stopping");
    const client = connect(this.#options.url, clientOptions(this.#options));
    const connection = new MqttConnection(client, this.#options);
    const abort = (): void => connection.abandon("the agent is stopping");
    signal.addEventListener("abort", abort, { once: true });
    try {
      await connection.opened();
      return connection;
    } catch (error) {
      connection.abandon("not connected");
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}

function clientOptions(options: MqttLinkOptions): IClientOptions {
  const { agentId, username, keepaliveSeconds, connectTimeoutMs, tls } = options;
  const token = options.token();
  return {
    clientId: agentId,
    username,
    ...(token === undefined ? {} : { password: token }),
    protocolVersion: 4,
    clean: true,
    reconnectPeriod: 0,
    queueQoSZero: false,
    resubscribe: false,
    keepalive: keepaliveSeconds,
    connectTimeout: connectTimeoutMs,
    ...(tls?.ca && { ca: tls.ca }),
    ...(tls?.cert && { cert: tls.cert }),
    ...(tls?.key && { key: tls.key }),
    rejectUnauthorized: true,
  };
}

class MqttConnection implements LinkConnection {
  readonly closed: Promise<string>;
  readonly #client: MqttClient;
  readonly #options: MqttLinkOptions;
  /** A client that dies forgets some callbacks: the end of the connection is their answer. */
  readonly #unsettled = new Set<(reason: string) => void>();
  #reason: string | undefined;
  #isClosed = false;
  #isDistrust = false;
  #tellClosed: (reason: string) => void = () => undefined;
  #onAck: ((ack: AgentAck) => void) | undefined;
  #onCommand: ((payload: Uint8Array) => void) | undefined;
  /** What came before the listeners were there. Bounded: nothing but retained messages can come before the hello. */
  #early: IPublishPacket[] = [];

  constructor(client: MqttClient, options: MqttLinkOptions) {
    this.#client = client;
    this.#options = options;
    this.closed = new Promise((resolve) => (this.#tellClosed = resolve));
    // Without a listener an error of the socket would end the process.
    client.on("error", (error) => {
      const cause = distrustOf(error);
      if (cause !== undefined) this.#isDistrust = true;
      this.#reason ??= cause ?? error.message;
    });
    client.on("close", () => this.#end());
    // The PUBACK goes out after the callback; the default would hand the packet to listeners that cannot be waited for.
    client.handleMessage = (packet, callback) => {
      this.#take(packet);
      callback();
    };
  }

  /** Resolves when the broker let us in and the subscriptions are granted. */
  async opened(): Promise<void> {
    // The end of the connection answers for callbacks that a dying client forgets.
    const failed = this.closed.then((reason) => {
      if (this.#isDistrust) throw distrusted(reason);
      // With TLS 1.3 the other end says no after our side was content, and often without a word that arrives.
      const isCut = reason === closedReason && this.#options.url.startsWith("mqtts:");
      throw isCut ? distrusted(closedByTls) : unreachable(this.#options.url, reason);
    });
    failed.catch(() => undefined); // Long after we opened, the connection closes, and nobody waits here.
    await Promise.race([this.#connected(), failed]);
    const { agentId } = this.#options;
    const topics = [`acks/${agentId}`, `commands/${agentId}`];
    const granted = await Promise.race([this.#client.subscribeAsync(topics, { qos: 1 }), failed]);
    if (granted.some(({ qos }) => qos > 2)) {
      throw new MeshError("UPLINK_REFUSED", "The broker denied the agent its acknowledgements");
    }
  }

  #connected(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.once("connect", () => {
        const { stream } = this.#client;
        // A small batch must not wait for the acknowledgement of the one before (Nagle): that was most of the latency.
        if (stream instanceof Socket) stream.setNoDelay(true);
        resolve();
      });
      this.#client.once("error", (error) => {
        const cause = distrustOf(error);
        reject(cause === undefined ? refusal(error) : distrusted(cause));
      });
    });
  }

  send(batch: Uint8Array): Promise<void> {
    // While not connected the client would queue, and lose it: the buffer still has everything.
    if (this.#isClosed || !this.#client.connected) {
      return Promise.reject(unreachable(this.#options.url, "the connection is closed"));
    }
    return new Promise((resolve, reject) => {
      const payload = Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength);
      const fail = (reason: string): void => {
        this.#unsettled.delete(fail);
        reject(unreachable(this.#options.url, reason));
      };
      this.#unsettled.add(fail);
      this.#client.publish(`batches/${this.#options.agentId}`, payload, { qos: 1 }, (error) => {
        if (error) fail(error.message);
        else if (this.#unsettled.delete(fail)) resolve();
      });
    });
  }

  onAck(listener: (ack: AgentAck) => void): void {
    this.#onAck = listener;
    this.#replayEarly();
  }

  onCommand(listener: (payload: Uint8Array) => void): void {
    this.#onCommand = listener;
    this.#replayEarly();
  }

  /** Without a DISCONNECT: there is no will to suppress, and a silent broker would be waited for. */
  close(): Promise<void> {
    this.abandon("closed by the agent");
    return Promise.resolve();
  }

  /** Lets go at once. */
  abandon(reason: string): void {
    this.#reason ??= reason;
    this.#end();
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const reason = this.#reason ?? closedReason;
    // The timers and the socket of a dead client must not outlive it; end() alone may wait for the socket.
    this.#client.end(true);
    this.#client.stream.destroy();
    for (const fail of [...this.#unsettled]) fail(reason);
    this.#tellClosed(reason);
  }

  #replayEarly(): void {
    for (const packet of this.#early.splice(0)) this.#take(packet);
  }

  #take(packet: IPublishPacket): void {
    if (this.#isClosed) return;
    const payload =
      typeof packet.payload === "string" ? Buffer.from(packet.payload) : packet.payload;
    const { agentId, messageBytesMax, logger } = this.#options;
    if (payload.length > messageBytesMax) {
      logger.warn(
        { topic: packet.topic, bytes: payload.length },
        "Message from the region refused.",
      );
      return;
    }
    const listener = packet.topic === `acks/${agentId}` ? this.#onAck : this.#onCommand;
    if (listener === undefined) {
      if (this.#early.length < 16) this.#early.push(packet);
    } else if (packet.topic === `acks/${agentId}`) {
      this.#takeAck(payload);
    } else if (packet.topic === `commands/${agentId}`) {
      this.#onCommand?.(payload);
    }
  }

  #takeAck(payload: Uint8Array): void {
    try {
      this.#onAck?.(decodeAck(payload));
    } catch (error) {
      this.#options.logger.error({ error }, "An acknowledgement cannot be read.");
    }
  }
}

/** CONNACK return codes (MQTT 3.1.1 3.2.2.3): 3 means "not now", the others "not you". */
function refusal(error: Error): MeshError {
  const code = "code" in error ? error.code : undefined;
  const isNo = typeof code === "number" && code >= 1 && code <= 5 && code !== 3;
  const text = `The broker refused the connection: ${error.message}`;
  return isNo
    ? new MeshError("UPLINK_REFUSED", text, { cause: error })
    : new MeshError("UNREACHABLE", error.message, { cause: error });
}

const closedReason = "the connection was closed";
const closedByTls =
  "The region closed the connection before it answered: it may not accept our certificate, or ask for one.";

/** What OpenSSL calls a certificate that it does not accept, ours or theirs. */
const theirs = /CERT|ISSUER|SIGNATURE|SELF_SIGNED|ERR_TLS_CERT_ALTNAME/;
const ours = /ALERT.*(CERTIFICATE|UNKNOWN_CA)|CERTIFICATE_REQUIRED/;

/** In words when TLS failed for a certificate; undefined = for something else, or not TLS. */
function distrustOf(error: Error): string | undefined {
  const code = "code" in error ? String(error.code) : "";
  if (ours.test(code)) return `The region does not accept our certificate: ${error.message}`;
  if (theirs.test(code)) return `The region's certificate is not trusted: ${error.message}`;
  return undefined;
}

function distrusted(reason: string): MeshError {
  const hint =
    "Check uplink.tls.caFile (who signed the region's), uplink.tls.certFile and keyFile (our own), the name in uplink.url, and the clock.";
  return new MeshError("UNREACHABLE", reason, { hint });
}

function unreachable(url: string, reason: string): MeshError {
  return new MeshError("UNREACHABLE", `The region at ${new URL(url).host}: ${reason}`);
}
