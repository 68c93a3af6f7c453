import { connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net";
import { connect as connectTls, type SecureContext } from "node:tls";
import { failureOf, outcomeOf, type AnswerReader } from "./push-outcome.ts";
import { ResponseReader } from "./response-reader.ts";
import type { Delivery, DeliveryOutcome } from "./target.ts";

/** Where to connect to. */
export interface HttpEndpoint {
  readonly isTls: boolean;
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly lookup: LookupFunction | undefined;
  /** A client certificate, and whom to trust, where that is not the usual. */
  readonly secureContext: SecureContext | undefined;
  /** The last TLS session, with which a connection opens sooner. */
  session: Buffer | undefined;
}

/** What a connection needs of the target that opened it. */
export interface ConnectionOwner extends AnswerReader {
  /** It may take the next request. */
  freed(connection: HttpConnection): void;
  closed(connection: HttpConnection): void;
}

/** Ticks of the owner at which waiting ends. */
export interface ConnectionDeadlines {
  readonly connect: number;
  readonly answer: number;
}

const bodyBytesMax = 64 * 1024;
/** Where all connections read to: what came is taken before anything else is read. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * One keep-alive connection that carries a push at a time: a whole request in one write, one outcome out. Written for this one
 * use because it runs for every event and subscription: with a general HTTP client a push cost twice the CPU. It follows
 * no redirection, sends nothing before TLS has found the other side to be who it should be, and reads within bounds.
 */
export class HttpConnection {
  /** The owner's tick of the last answer. */
  idleSince = 0;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #answer = new ResponseReader();
  #delivery: Delivery | undefined;
  #connectTick = 0;
  #answerTick = 0;
  /** The request that waits for the connection to open. */
  #waiting: Buffer | undefined;
  #isOpen = false;
  #isClosed = false;

  constructor(owner: ConnectionOwner, endpoint: HttpEndpoint) {
    this.#owner = owner;
    const socket = this.#connect(endpoint);
    this.#socket = socket;
    socket.once(endpoint.isTls ? "secureConnect" : "connect", () => this.#opened());
    if (endpoint.isTls) socket.on("session", (session: Buffer) => (endpoint.session = session));
    socket.on("error", (error) => this.#fail(failureOf(error)));
    socket.on("end", () => this.#ended());
    socket.on("close", () => this.#ended());
  }

  get isBusy(): boolean {
    return this.#delivery !== undefined;
  }

  /** How long the other side keeps it open while nothing is sent, where it says so. */
  get keepAliveSeconds(): number | undefined {
    return this.#answer.keepAliveSeconds;
  }

  /** False when the bytes are still being written: they must not change until the delivery is settled. */
  send(delivery: Delivery, request: Buffer, deadlines: ConnectionDeadlines): boolean {
    this.#delivery = delivery;
    this.#answerTick = deadlines.answer;
    this.#answer.next();
    if (this.#isOpen) {
      this.#socket.write(request);
      return this.#socket.writableLength === 0;
    }
    this.#connectTick = deadlines.connect;
    this.#waiting = request;
    return false;
  }

  /** Gives up what takes too long. What has answered with a status has answered, even when its body never ends. */
  expire(tick: number): void {
    if (!this.#delivery) return;
    const isLate = tick >= this.#answerTick || (!this.#isOpen && tick >= this.#connectTick);
    if (isLate) this.#fail({ kind: "failed", status: "timeout" });
  }

  /** The target stops. */
  letGo(): void {
    this.#fail({ kind: "aborted" });
  }

  #connect({ isTls, host, port, lookup, session, secureContext }: HttpEndpoint): Socket {
    const options = {
      ...{ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 },
      ...(lookup === undefined ? {} : { lookup }),
      onread: { buffer: readBuffer, callback: (count: number) => this.#take(count) },
    };
    if (!isTls) return connectTcp(options);
    // No server name for an address (RFC 6066, 3).
    const servername = isIP(host) === 0 ? host : "";
    const tls = { servername, session, secureContext, ALPNProtocols: ["http/1.1"] };
    return connectTls({ ...options, ...tls });
  }

  #opened(): void {
    this.#isOpen = true;
    const request = this.#waiting;
    this.#waiting = undefined;
    if (request && this.#delivery) this.#socket.write(request);
  }

  #take(count: number): boolean {
    if (!this.#delivery) {
      // Nothing was asked.
      this.#close();
      return false;
    }
    const state = this.#answer.read(readBuffer.toString("latin1", 0, count));
    if (state === "complete") this.#answered();
    else if (state === "invalid") this.#fail(invalid);
    // The status is known; what else the target has to say is not worth a connection.
    else if (this.#answer.bodyLength > bodyBytesMax) this.#fail(invalid);
    return !this.#isClosed;
  }

  #answered(): void {
    const outcome = outcomeOf(this.#answer, this.#owner);
    const delivery = this.#delivery;
    this.#delivery = undefined;
    // An answer that came before the whole request was written leaves a rest that nobody wants.
    if (this.#answer.isReusable && this.#socket.writableLength === 0) this.#owner.freed(this);
    else this.#close();
    delivery?.settle(outcome);
  }

  #ended(): void {
    if (this.#delivery && this.#answer.endsWithConnection) this.#answered();
    else this.#fail(cutOff);
  }

  /** The connection is of no more use; a status that came counts nevertheless. */
  #fail(failure: DeliveryOutcome): void {
    const delivery = this.#delivery;
    this.#delivery = undefined;
    this.#close();
    if (!delivery) return;
    const hasStatus = this.#answer.status > 0;
    delivery.settle(hasStatus ? outcomeOf(this.#answer, this.#owner) : failure);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#waiting = undefined;
    this.#socket.destroy();
    this.#owner.closed(this);
  }
}

const invalid: DeliveryOutcome = {
  kind: "failed",
  status: "invalid-response",
  detail: "What came back is not HTTP/1.1",
};
const cutOff: DeliveryOutcome = {
  kind: "failed",
  status: "reset",
  detail: "The connection was closed before an answer came",
};
