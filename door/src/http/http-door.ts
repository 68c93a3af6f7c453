import type { IncomingMessage, ServerResponse } from "node:http";
import {
  assertTopic,
  decodeHttp,
  MeshError,
  structuredBytesMax,
  type Clock,
  type Logger,
} from "@fleetmesh/core";
import type { Admission } from "../auth/admission.ts";
import type { Principal } from "../auth/authenticator.ts";
import { bearerToken, pathOf } from "../auth/bearer.ts";
import type { DoorKind, Intake } from "../intake.ts";
import type { DoorMetrics } from "../telemetry/door-metrics.ts";
import { BodyMemory } from "./body-memory.ts";
import { ByteBudget, type ByteReservation } from "./byte-budget.ts";
import { sendProblem } from "./problem.ts";
import {
  assertDeclaredLength,
  awaitingContinue,
  discardBody,
  readBody,
  type BodyBound,
} from "./request-body.ts";

export interface HttpDoorLimits {
  /** The size of one event, as `eventByteSize` counts it. */
  readonly maxEventBytes: number;
  /** The body of one batch; at least what one event takes. */
  readonly batchBytesMax: number;
  readonly batchEventsMax: number;
  /** Bodies held at one time over all requests, until the intake has them. */
  readonly inFlightBytesMax: number;
}

const httpDoorLimitsDefault: HttpDoorLimits = {
  maxEventBytes: 256 * 1024,
  batchBytesMax: 8 * 1024 * 1024,
  batchEventsMax: 10_000,
  inFlightBytesMax: 64 * 1024 * 1024,
};

export interface HttpDoorOptions {
  readonly intake: Intake;
  readonly admission: Admission;
  readonly metrics: DoorMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<HttpDoorLimits>;
  readonly kind?: DoorKind;
  /**
   * The intake keeps nothing of an event once `take` has resolved: the memory of large bodies is used again for others, where
   * it would otherwise pile up until the next collection of all memory. Default false.
   */
  readonly reusesBodies?: boolean;
  /** Methods that somebody else serves on the same path, such as GET at the runtime. */
  readonly otherMethods?: readonly string[];
}

const prefix = "/v1/topics/";
const suffix = "/events";
const keptBodyBytesMax = 1024 * 1024;

/**
 * `POST /v1/topics/{topic}/events`: CloudEvents in binary, structured or batched mode, answered 200 `{"accepted":n}` when
 * the intake has them all. A plain request listener, so that a process mounts it in the server it has.
 * Guarantees: no token, no topic: 401, then the topic's grammar, then 403 before 404; a body over its bound is never
 * buffered; every refusal is answered with a problem document.
 */
export class HttpDoor {
  readonly #options: HttpDoorOptions;
  readonly #limits: HttpDoorLimits;
  readonly #eventLimits: { readonly maxEventBytes: number };
  readonly #kind: DoorKind;
  readonly #otherMethods: readonly string[];
  readonly #budget: ByteBudget;
  readonly #bodies: BodyMemory;

  constructor(options: HttpDoorOptions) {
    this.#options = options;
    const limits = { ...httpDoorLimitsDefault, ...options.limits };
    this.#eventLimits = { maxEventBytes: limits.maxEventBytes };
    const batchBytesMax = Math.max(limits.batchBytesMax, structuredBytesMax(this.#eventLimits));
    this.#limits = { ...limits, batchBytesMax };
    this.#kind = options.kind ?? "http";
    options.metrics.serves(this.#kind);
    this.#otherMethods = options.otherMethods ?? [];
    this.#budget = new ByteBudget(this.#limits.inFlightBytesMax);
    this.#bodies = new BodyMemory(options.reusesBodies === true ? keptBodyBytesMax : 0);
  }

  /** Bytes of bodies held now. */
  get bytesInFlight(): number {
    return this.#budget.bytes;
  }

  handles(request: IncomingMessage): boolean {
    const path = pathOf(request.url ?? "");
    return (
      path.startsWith(prefix) &&
      path.endsWith(suffix) &&
      path.length >= prefix.length + suffix.length &&
      !this.#otherMethods.includes(request.method ?? "")
    );
  }

  /** Never rejects: what fails is answered, counted and, when it is our fault, logged. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reservation = this.#budget.open();
    // A sender that goes away while its answer is written is its own business.
    response.on("error", () => undefined);
    try {
      const accepted = await this.#take(request, response, reservation);
      sendAccepted(response, accepted);
    } catch (thrown) {
      this.#refuse(request, response, MeshError.from(thrown));
    } finally {
      reservation.release();
    }
  }

  async #take(
    request: IncomingMessage,
    response: ServerResponse,
    reservation: ByteReservation,
  ): Promise<number> {
    if (request.method !== "POST") {
      response.setHeader("allow", ["POST", ...this.#otherMethods].join(", "));
      throw new MeshError("METHOD_NOT_ALLOWED", "Events are published with POST");
    }
    const { admission } = this.#options;
    const token = bearerToken(request);
    const principal =
      admission.recall(token) ??
      (await admission.admit(token, request.socket.remoteAddress ?? "local"));
    const topic = this.#permittedTopic(request, principal);
    const bound = this.#boundOf(request);
    assertReadable(request, bound);
    const body = await readBody(request, response, {
      ...{ ...bound, reservation },
      join: (pieces, byteCount) => this.#bodies.join(pieces, byteCount),
    });
    return this.#submit(request.rawHeaders, body, { topic, principal });
  }

  #boundOf(request: IncomingMessage): BodyBound {
    return isBatchType(request.headers["content-type"])
      ? { bytesMax: this.#limits.batchBytesMax, kind: "BATCH_TOO_LARGE" }
      : { bytesMax: structuredBytesMax(this.#eventLimits), kind: "EVENT_TOO_LARGE" };
  }

  async #submit(
    rawHeaders: readonly string[],
    body: Buffer,
    target: { readonly topic: string; readonly principal: Principal },
  ): Promise<number> {
    const { events } = decodeHttp({ rawHeaders, body, limits: this.#eventLimits });
    if (events.length > this.#limits.batchEventsMax) {
      throw new MeshError(
        "BATCH_TOO_LARGE",
        `The batch has ${events.length} events; ${this.#limits.batchEventsMax} are allowed`,
      );
    }
    if (events.length > 0) {
      await this.#options.intake.take({ ...target, events, door: this.#kind });
      this.#bodies.giveBack(body);
      this.#options.metrics.received(target.topic, this.#kind, events.length);
    }
    return events.length;
  }

  #permittedTopic(request: IncomingMessage, principal: Principal): string {
    const topic = topicOf(request.url ?? "");
    assertTopic(topic);
    if (!principal.mayPublish(topic)) {
      throw this.#options.admission.notPermitted(`publish to ${topic}`, topic);
    }
    return topic;
  }

  #refuse(request: IncomingMessage, response: ServerResponse, error: MeshError): void {
    const { metrics, logger, clock } = this.#options;
    metrics.rejected(this.#kind, error.code);
    if (error.kind === "INTERNAL") {
      logger.error({ err: error, path: pathOf(request.url ?? "") }, "Request failed.");
    }
    // A sender that waits for our word will not send its body: nothing can follow on this connection.
    if (awaitingContinue.has(request)) response.setHeader("connection", "close");
    sendProblem(response, error);
    discardBody(request, clock);
  }
}

function sendAccepted(response: ServerResponse, count: number): void {
  if (response.destroyed) return;
  const body = `{"accepted":${count}}`;
  response.writeHead(200, {
    "content-type": "application/json",
    "content-length": body.length,
  });
  response.end(body);
}

function topicOf(url: string): string {
  const path = pathOf(url);
  const text = path.slice(prefix.length, path.length - suffix.length);
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new MeshError("TOPIC_INVALID", "The topic in the path is not UTF-8", { cause });
  }
}

function isBatchType(contentType: string | undefined): boolean {
  return (
    contentType?.trimStart().toLowerCase().startsWith("application/cloudevents-batch") ?? false
  );
}

function assertReadable(request: IncomingMessage, bound: BodyBound): void {
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new MeshError("CONTENT_TYPE_UNSUPPORTED", "The door reads bodies without encoding only", {
      hint: "Send the body uncompressed, without Content-Encoding.",
    });
  }
  assertDeclaredLength(request, bound);
}
