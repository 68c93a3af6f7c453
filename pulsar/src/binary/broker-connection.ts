import type { Socket } from "node:net";
import { MeshError, type Clock, type Timer } from "@fleetmesh/core";
import type { MessageId } from "../message-id.ts";
import { tokenRefusal } from "../token-refusal.ts";
import { currentToken, type TokenSource } from "../token-source.ts";
import { formatBrokerAddress, type BrokerAddress } from "./broker-address.ts";
import { openBrokerSocket, type BrokerTls } from "./broker-socket.ts";
import { authResponseFrame, connectFrame, pingFrame, pongFrame } from "./command.ts";
import { commandType } from "./command-type.ts";
import { Deferred } from "./deferred.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { ProtobufFields } from "./protobuf-fields.ts";
import { protocolBroken } from "./protocol-broken.ts";
import type { ReceivedEntry } from "./received-entry.ts";
import { serverError } from "./server-error.ts";

export interface BrokerConnectionOptions {
  readonly address: BrokerAddress;
  /** The broker that a proxy at this address shall pass everything on to. */
  readonly proxyTo: string | undefined;
  /** Asked at each connection and whenever the broker wants a fresh one. */
  readonly token: TokenSource | undefined;
  readonly tls: BrokerTls | undefined;
  readonly clock: Clock;
  /** A silence of this length is broken by a ping; of twice this, the connection is dead. */
  readonly keepAliveMs: number;
  readonly requestMsMax: number;
}

/** One producer's end of a connection. */
export interface ProducerEnd {
  onReceipt(sequence: number, id: MessageId): void;
  /** Called once, with the connection's end or the broker's word. */
  onLost(reason: MeshError): void;
}

/** One consumer's end of a connection. */
export interface ConsumerEnd {
  onEntry(entry: ReceivedEntry): void;
  onLost(reason: MeshError): void;
}

export interface Answer {
  readonly type: number;
  readonly fields: ProtobufFields;
}

interface Question {
  readonly asked: string;
  readonly timer: Timer;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: MeshError) => void;
}

/** Pulsar's own default; the broker tells its own when it has accepted the connection. */
export const messageBytesMaxDefault = 5 * 1024 * 1024;
/** What a frame may be larger than its message. */
const framePaddingBytes = 10 * 1024;
const lastWordsMs = 1_000;
/** Field of the request's number in each kind of answer. */
const requestFields: Readonly<Record<number, number>> = {
  [commandType.success]: 1,
  [commandType.error]: 1,
  [commandType.producerSuccess]: 1,
  [commandType.lookupResponse]: 4,
  [commandType.getLastMessageIdResponse]: 2,
};

/**
 * One accepted connection to one broker, shared by producers and consumers. It ends once: by `close`, by the broker, by silence
 * or by bytes that are not the protocol; then all that waits on it hears the reason.
 */
export class BrokerConnection {
  readonly #options: BrokerConnectionOptions;
  readonly #socket: Socket;
  readonly #decoder: FrameDecoder;
  readonly #questions = new Map<number, Question>();
  readonly #producers = new Map<number, ProducerEnd>();
  readonly #consumers = new Map<number, ConsumerEnd>();
  readonly #accepted = new Deferred<undefined>();
  readonly #ended = new Deferred<MeshError>();
  #failure: MeshError | undefined;
  #messageBytesMax = messageBytesMaxDefault;
  #nextId = 1;
  #isHeard = true;
  #keepAlive: Timer | undefined;
  #handshake: Timer | undefined;
  /** The last that was shown to the broker. */
  #token: string | undefined;

  /** Resolves when the broker has accepted the token. Errors: PULSAR_UNAVAILABLE, PULSAR_DENIED, PULSAR_TOKEN_EXPIRED. */
  static async open(options: BrokerConnectionOptions): Promise<BrokerConnection> {
    const { address, tls, clock, requestMsMax: connectMsMax, proxyTo } = options;
    const token = await currentToken(options.token);
    const socket = await openBrokerSocket({ address, tls, clock, connectMsMax });
    const connection = new BrokerConnection(options, socket);
    connection.#token = token;
    connection.write(connectFrame({ token, proxyTo }));
    await connection.#accepted.promise;
    return connection;
  }

  private constructor(options: BrokerConnectionOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    const frameBytesMax = messageBytesMaxDefault + framePaddingBytes;
    this.#decoder = new FrameDecoder(frameBytesMax, (...frame) => this.#take(...frame));
    this.#handshake = options.clock.setTimer(options.requestMsMax, () =>
      this.#fail(this.#unavailable("did not answer")),
    );
    this.#listen();
  }

  /** Resolves, with the reason, when nothing can be sent any more. */
  get ended(): Promise<MeshError> {
    return this.#ended.promise;
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** The broker's bound of one message with its metadata. */
  get messageBytesMax(): number {
    return this.#messageBytesMax;
  }

  /** A number for a request, a producer or a consumer. */
  nextId(): number {
    return this.#nextId++;
  }

  write(frame: Buffer): void {
    if (this.#failure === undefined) this.#socket.write(frame);
  }

  /**
   * Sends a request and waits for its answer. `asked` says in the error what was asked and which permission it takes.
   * Errors: what the broker answers; PULSAR_UNAVAILABLE when it answers nothing.
   */
  ask(asked: string, make: (requestId: number) => Buffer): Promise<Answer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const requestId = this.nextId();
    const { clock, requestMsMax } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = clock.setTimer(requestMsMax, () => {
        this.#questions.delete(requestId);
        reject(this.#unavailable(`did not answer to ${asked}`));
      });
      this.#questions.set(requestId, { asked, timer, resolve, reject });
      this.write(make(requestId));
    });
  }

  attachProducer(producerId: number, end: ProducerEnd): void {
    this.#producers.set(producerId, end);
  }

  attachConsumer(consumerId: number, end: ConsumerEnd): void {
    this.#consumers.set(consumerId, end);
  }

  detach(id: number): void {
    this.#producers.delete(id);
    this.#consumers.delete(id);
  }

  /** What was written before still goes out, if the other side takes it soon. Resolves when the socket is gone. */
  close(): Promise<void> {
    this.#fail(new MeshError("STOPPING", "The Pulsar client is stopping"), "keep");
    const gone = new Promise<void>((resolve) => {
      if (this.#socket.destroyed) resolve();
      else this.#socket.once("close", () => resolve());
    });
    this.#socket.end();
    const last = this.#options.clock.setTimer(lastWordsMs, () => this.#socket.destroy());
    return gone.finally(() => last.cancel());
  }

  #listen(): void {
    this.#socket.on("data", (chunk: Buffer) => this.#push(chunk));
    this.#socket.on("error", (cause) => this.#fail(this.#unavailable(cause.message, cause)));
    this.#socket.on("close", () => this.#fail(this.#unavailable("closed the connection")));
  }

  #push(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    this.#isHeard = true;
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.#fail(MeshError.from(error));
    }
  }

  #take(buffer: Buffer, start: number, end: number): void {
    if (this.#failure !== undefined) return;
    const commandEnd = start + 4 + buffer.readUInt32BE(start);
    if (commandEnd > end) throw protocolBroken("a command's length");
    const base = new ProtobufFields(buffer, start + 4, commandEnd);
    const type = base.number(1) ?? 0;
    const fields = base.message(type) ?? base;
    if (type === commandType.message) this.#onMessage(fields, buffer.subarray(commandEnd, end));
    else if (type in requestFields) this.#onAnswer(type, fields);
    else this.#onCommand(type, fields);
  }

  #onCommand(type: number, fields: ProtobufFields): void {
    if (type === commandType.sendReceipt) this.#onReceipt(fields);
    else if (type === commandType.sendError) this.#onSendError(fields);
    else if (type === commandType.closeProducer) this.#onClosed(this.#producers, fields);
    else if (type === commandType.closeConsumer) this.#onClosed(this.#consumers, fields);
    else if (type === commandType.ping) this.write(pongFrame);
    else if (type === commandType.connected) this.#onConnected(fields);
    else if (type === commandType.authChallenge) void this.#onChallenge();
    // A pong was heard already; what else a newer broker says is nothing that was asked for.
  }

  #onConnected(fields: ProtobufFields): void {
    const { clock, keepAliveMs } = this.#options;
    this.#handshake?.cancel();
    this.#messageBytesMax = fields.number(3) ?? messageBytesMaxDefault;
    this.#decoder.allow(this.#messageBytesMax + framePaddingBytes);
    this.#keepAlive = clock.setTimer(keepAliveMs, () => this.#listenForLife(false));
    this.#accepted.resolve(undefined);
  }

  /** Judged a whole span after the ping: a process that was suspended finds the answers that wait for it first. */
  #listenForLife(wasAsked: boolean): void {
    if (!this.#isHeard && wasAsked) {
      this.#fail(this.#unavailable("fell silent"));
      return;
    }
    if (!this.#isHeard) this.write(pingFrame);
    const isAsked = !this.#isHeard;
    this.#isHeard = false;
    const { clock, keepAliveMs } = this.#options;
    this.#keepAlive = clock.setTimer(keepAliveMs, () => this.#listenForLife(isAsked));
  }

  async #onChallenge(): Promise<void> {
    try {
      const token = await currentToken(this.#options.token);
      this.#token = token;
      if (token !== undefined) this.write(authResponseFrame(token));
    } catch (error) {
      this.#fail(MeshError.from(error));
    }
  }

  #onAnswer(type: number, fields: ProtobufFields): void {
    const requestId = fields.number(requestFields[type] ?? 1) ?? -1;
    const question = this.#questions.get(requestId);
    this.#questions.delete(requestId);
    question?.timer.cancel();
    if (type !== commandType.error) return question?.resolve({ type, fields });
    // An error without its question refuses the connection itself.
    if (question !== undefined)
      question.reject(serverError(fields, { code: 2, text: 3, asked: question.asked }));
    else if (this.#keepAlive === undefined) this.#fail(this.#refusal(fields));
  }

  #refusal(fields: ProtobufFields): MeshError {
    const asked = `the connection to ${this.#name} (needs a valid token)`;
    const error = serverError(fields, { code: 2, text: 3, asked });
    if (!MeshError.is(error, "PULSAR_DENIED")) return error;
    const refused = { asked, token: this.#token, atMs: this.#options.clock.wallMs() };
    return tokenRefusal(refused, fields.text(3).slice(0, 500));
  }

  #onReceipt(fields: ProtobufFields): void {
    const producer = this.#producers.get(fields.number(1) ?? -1);
    const id = messageIdOf(fields, 3);
    if (id === undefined) throw protocolBroken("a receipt without a message id");
    producer?.onReceipt(fields.number(2) ?? -1, id);
  }

  #onSendError(fields: ProtobufFields): void {
    const producerId = fields.number(1) ?? -1;
    const producer = this.#producers.get(producerId);
    // It stays attached: its owner has yet to close it at the broker.
    producer?.onLost(serverError(fields, { code: 3, text: 4, asked: "a message" }));
  }

  #onClosed(ends: Map<number, ProducerEnd | ConsumerEnd>, fields: ProtobufFields): void {
    const id = fields.number(1) ?? -1;
    const end = ends.get(id);
    ends.delete(id);
    end?.onLost(this.#unavailable("closed the topic to this client"));
  }

  #onMessage(fields: ProtobufFields, bytes: Buffer): void {
    const consumer = this.#consumers.get(fields.number(1) ?? -1);
    const id = messageIdOf(fields, 2);
    if (id === undefined) throw protocolBroken("a message without an id");
    consumer?.onEntry({ ledger: id.ledger, entry: id.entry, bytes });
  }

  #fail(reason: MeshError, socket: "destroy" | "keep" = "destroy"): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    if (socket === "destroy") this.#socket.destroy();
    this.#handshake?.cancel();
    this.#keepAlive?.cancel();
    this.#accepted.reject(reason);
    for (const question of this.#questions.values()) {
      question.timer.cancel();
      question.reject(reason);
    }
    for (const end of [...this.#producers.values(), ...this.#consumers.values()])
      end.onLost(reason);
    this.#questions.clear();
    this.#producers.clear();
    this.#consumers.clear();
    this.#ended.resolve(reason);
  }

  get #name(): string {
    return formatBrokerAddress(this.#options.address);
  }

  #unavailable(what: string, cause?: unknown): MeshError {
    return new MeshError("PULSAR_UNAVAILABLE", `The broker at ${this.#name} ${what}`, { cause });
  }
}

export function messageIdOf(fields: ProtobufFields, field: number): MessageId | undefined {
  const id = fields.message(field);
  if (id === undefined) return undefined;
  const [ledger, entry, batch] = [id.number(1), id.number(2), id.number(4)];
  return { ledger: ledger ?? -1, entry: entry ?? -1, batch: batch ?? -1 };
}
