import { setMaxListeners } from "node:events";
import {
  compileTopicPattern,
  MeshError,
  type Clock,
  type Logger,
  type Part,
} from "@fleetmesh/core";
import type { Admission } from "@fleetmesh/door";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { ReadTurns } from "../delivery/read-turns.ts";
import type { Metadata } from "../metadata/metadata.ts";
import type { EventStore } from "../store/event-store.ts";
import type { RuntimeMetrics } from "../telemetry/runtime-metrics.ts";
import { principalOf } from "./access.ts";
import { decodeStreamCursor } from "./stream-cursor.ts";
import { StreamTail } from "./stream-tail.ts";

export interface StreamPorts {
  readonly store: EventStore;
  readonly metadata: Metadata;
  readonly clock: Clock;
  readonly admission: Admission;
  readonly metrics: RuntimeMetrics;
  readonly logger: Logger;
}

/** However many clients catch up, the doors are served between their pages. */
const pagesAtOnce = 2;

const streamQuery = z.object({
  topic: z.string().min(1).max(200),
  from: z.enum(["earliest", "latest"]).default("latest"),
});

/** All live tails of a runtime; they end when it stops, before the server waits for its connections. */
export class StreamRoute implements Part {
  readonly name = "stream";
  readonly #ports: StreamPorts;
  readonly #clientCountMax: number;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #turns = new ReadTurns(pagesAtOnce);

  constructor(ports: StreamPorts, clientCountMax: number) {
    this.#ports = ports;
    this.#clientCountMax = clientCountMax;
    // Every tail listens.
    setMaxListeners(0, this.#stopping.signal);
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#running);
  }

  register(app: FastifyInstance): void {
    app.get("/v1/stream", (request, reply) => this.#open(request, reply));
  }

  #open(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const principal = principalOf(request);
    const { topic, from } = streamQuery.parse(request.query);
    const matches = compileTopicPattern(topic);
    if (!/[*>]/.test(topic) && !principal.maySubscribe(topic)) {
      throw new MeshError("NOT_PERMITTED", `The token does not permit reading "${topic}"`);
    }
    if (this.#stopping.signal.aborted) throw new MeshError("STOPPING", "The region is stopping");
    if (this.#running.size >= this.#clientCountMax) {
      throw new MeshError("OVERLOADED", "Too many live tails are open", { retryAfterSeconds: 5 });
    }
    const lastId = request.headers["last-event-id"];
    const { store, clock, admission } = this.#ports;
    const options = {
      store,
      clock,
      isWanted: (name: string) => matches(name) && principal.maySubscribe(name),
      resumeFrom: typeof lastId === "string" ? decodeStreamCursor(lastId) : undefined,
      startAt: from,
      turns: this.#turns,
      isTokenOver: () => admission.isOver(principal),
    };
    reply.hijack();
    reply.raw.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
    reply.raw.on("error", () => undefined);
    this.#run(new StreamTail(options, reply.raw, this.#stopping.signal));
    return reply;
  }

  #run(tail: StreamTail): void {
    const { metrics, logger } = this.#ports;
    const running = tail.run().catch((error: unknown) => {
      // The client connects again with the last id it has.
      logger.warn({ code: MeshError.from(error).code, err: error }, "Live tail ended early.");
    });
    this.#running.add(running);
    metrics.streamClients.set(this.#running.size);
    void running.finally(() => {
      this.#running.delete(running);
      metrics.streamClients.set(this.#running.size);
    });
  }
}
