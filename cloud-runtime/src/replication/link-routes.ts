import { createHash } from "node:crypto";
import { assertTopic, MeshError, sleep, type Clock, type Part } from "@fleetmesh/core";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { principalOf } from "../api/access.ts";
import type { Metadata } from "../metadata/metadata.ts";
import type { EventStore, Position } from "../store/event-store.ts";
import { withOrigin } from "../store/shared/origin-extension.ts";
import type { RuntimeMetrics } from "../telemetry/runtime-metrics.ts";
import { LinkReader } from "./link-reader.ts";
import { sealRange } from "./range-audit.ts";
import {
  decodeReplicatedPage,
  encodeReplicatedPage,
  type ReplicatedPage,
} from "./replicated-page.ts";
import { TopicWatch } from "./topic-watch.ts";

export interface LinkRoutesPorts {
  readonly region: string;
  readonly store: EventStore;
  readonly metadata: Metadata;
  readonly metrics: RuntimeMetrics;
  readonly clock: Clock;
}

const name = z.string().min(1).max(200);
const position = z.string().min(1).max(200);
const waitMs = z.coerce.number().int().min(0).max(60_000).default(0);
const stateQuery = z.object({ known: z.string().max(100).optional(), wait: waitMs });
const eventsQuery = z.object({
  topic: name,
  to: name.optional(),
  after: position,
  limit: z.coerce.number().int().min(1).max(5_000).default(1_000),
  wait: waitMs,
});
const cursorQuery = z.object({ topic: name, origin: name });
const positionQuery = z.object({ topic: name, at: z.coerce.number() });
const admitQuery = z.object({ topic: name });
const appendQuery = z.object({ topic: name, origin: name, before: position.optional() });
const auditQuery = z.object({
  ...{ topic: name, origin: name, after: position, until: position },
  to: name.optional(),
});

const appendBytesMax = 16 * 1024 * 1024;
const pageType = "application/vnd.fleetmesh.replicated";

/** `/v1/replication`: what the links between regions speak, with a region link's token only. */
export class LinkRoutes implements Part {
  readonly name = "replication";
  readonly #ports: LinkRoutesPorts;
  readonly #watch: TopicWatch;
  readonly #reader: LinkReader;
  readonly #stopping = new AbortController();
  readonly #changeListeners = new Set<() => void>();
  #forget: () => void = () => undefined;

  constructor(ports: LinkRoutesPorts) {
    this.#ports = ports;
    this.#watch = new TopicWatch(ports.store, ports.clock);
    this.#reader = new LinkReader(ports.region, ports.store, {
      watch: this.#watch,
      clock: ports.clock,
    });
  }

  start(): Promise<void> {
    const tell = (): void => {
      for (const listener of this.#changeListeners) listener();
    };
    this.#forget = this.#ports.metadata.onChanged(tell);
    return Promise.resolve();
  }

  /** See LinkReader. */
  regionsBehind(topic: string, last: Position): string[] {
    return this.#reader.regionsBehind(topic, last);
  }

  stop(): Promise<void> {
    this.#stopping.abort();
    this.#forget();
    this.#watch.close();
    return Promise.resolve();
  }

  register(app: FastifyInstance): void {
    void app.register((scope, _options, done) => {
      scope.addHook("preValidation", (request, _reply, next) => {
        if (this.#stopping.signal.aborted) {
          next(new MeshError("STOPPING", "The region is stopping"));
        } else if (principalOf(request).isRegionLink) next();
        else next(new MeshError("NOT_PERMITTED", "Only a region link's token permits this"));
      });
      scope.addContentTypeParser(pageType, { parseAs: "buffer" }, (_request, body, parsed) =>
        parsed(null, body),
      );
      this.#routes(scope);
      done();
    });
  }

  #routes(app: FastifyInstance): void {
    const { store } = this.#ports;
    app.get("/v1/replication/wants", (request, reply) => this.#state(request, reply));
    app.get("/v1/replication/events", (request, reply) => this.#events(request, reply));
    app.get("/v1/replication/position", async (request) => {
      const { topic, at } = positionQuery.parse(request.query);
      return { position: await store.positionAt(topic, at) };
    });
    app.get("/v1/replication/cursor", async (request) => {
      const { topic, origin } = cursorQuery.parse(request.query);
      return this.#cursor(origin, topic);
    });
    app.get("/v1/replication/audit", (request) =>
      sealRange(store, auditQuery.parse(request.query)),
    );
    app.post("/v1/replication/admit", (request) => this.#admit(request));
    app.post("/v1/replication/append", { bodyLimit: appendBytesMax }, (request) =>
      this.#append(request),
    );
  }

  /** The region's wishes and topics; with `known`, not before they differ from what that tag stands for. */
  async #state(request: FastifyRequest, reply: FastifyReply): Promise<object> {
    const { known, wait } = stateQuery.parse(request.query);
    const { clock } = this.#ports;
    const untilMs = clock.monotonicMs() + wait;
    const signal = this.#goneSignal(reply);
    for (;;) {
      const changing = new AbortController();
      const wake = (): void => changing.abort();
      this.#changeListeners.add(wake);
      signal.addEventListener("abort", wake, { once: true });
      try {
        const state = this.#stateNow();
        const leftMs = untilMs - clock.monotonicMs();
        const tag = tagOf(state);
        if (tag !== known || leftMs <= 0 || signal.aborted) {
          return { ...state, tag, nowMs: clock.wallMs() };
        }
        await sleep(clock, leftMs, changing.signal);
      } finally {
        this.#changeListeners.delete(wake);
        signal.removeEventListener("abort", wake);
      }
    }
  }

  #stateNow(): { region: string; wants: readonly unknown[]; topics: readonly string[] } {
    const { region, metadata } = this.#ports;
    // Of a topic that is being removed the others fetch the rest.
    const topics = [...metadata.topics(), ...metadata.removing()].map((topic) => topic.name);
    return { region, wants: metadata.wants(), topics: topics.sort() };
  }

  /** Both of one moment: an append of a link that was cut off may still be arriving. */
  async #cursor(origin: string, topic: string): Promise<{ cursor: string | null; latest: string }> {
    const { store } = this.#ports;
    for (;;) {
      const before = await store.replicationCursor(origin, topic);
      const { latest } = await store.bounds(topic);
      const cursor = await store.replicationCursor(origin, topic);
      if (cursor === before) return { cursor: cursor ?? null, latest };
    }
  }

  async #events(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const query = eventsQuery.parse(request.query);
    assertTopic(query.topic);
    const page = await this.#reader.read({
      topic: query.topic,
      to: query.to,
      after: query.after,
      countMax: query.limit,
      waitMs: query.wait,
      signal: this.#goneSignal(reply),
    });
    const { region } = this.#ports;
    const head = { region, topic: query.topic, next: page.next };
    const newest = page.events.at(-1)?.entry.receivedMs ?? 0;
    return reply
      .headers({
        "fleetmesh-next": page.next,
        "fleetmesh-count": String(page.events.length),
        "fleetmesh-withheld": String(page.withheld),
        "fleetmesh-more": page.hasMore ? "1" : "0",
        "fleetmesh-newest-ms": String(newest),
        "fleetmesh-now-ms": String(this.#ports.clock.wallMs()),
      })
      .type(pageType)
      .send(Buffer.from(encodeReplicatedPage(head, page.events)));
  }

  /** The region's brokers may bring the topic's events from now on. */
  async #admit(request: FastifyRequest): Promise<object> {
    const { topic } = admitQuery.parse(request.query);
    assertTopic(topic);
    const { metadata, store } = this.#ports;
    await metadata.admitTopic(topic);
    await store.admit?.(topic);
    return { topic };
  }

  async #append(request: FastifyRequest): Promise<object> {
    const query = appendQuery.parse(request.query);
    if (!Buffer.isBuffer(request.body)) {
      throw new MeshError("CONTENT_TYPE_UNSUPPORTED", `Send the page as ${pageType}`);
    }
    const page = decodeReplicatedPage(request.body);
    this.#assertFits(page, query);
    await this.#ports.metadata.admitTopic(page.topic);
    const { cursor } = await this.#ports.store.appendReplicated({
      topic: page.topic,
      originRegion: page.region,
      cursorBefore: query.before,
      cursorAfter: page.next,
      entries: page.entries.map((replicated) => {
        const { entry } = replicated;
        return { ...replicated, entry: { ...entry, event: withOrigin(entry.event, page.region) } };
      }),
    });
    this.#count(page);
    return { cursor, stored: page.entries.length };
  }

  #assertFits(page: ReplicatedPage, query: { topic: string; origin: string }): void {
    assertTopic(page.topic);
    if (page.topic !== query.topic || page.region !== query.origin) {
      throw new MeshError("REQUEST_INVALID", "The page is of another topic or region than named");
    }
    if (page.region === this.#ports.region) {
      throw new MeshError("REQUEST_INVALID", "A region does not replicate to itself");
    }
  }

  #count({ region, topic, entries }: ReplicatedPage): void {
    const newest = entries.at(-1);
    if (newest === undefined) return;
    const { metrics, clock } = this.#ports;
    metrics.replicationReceived.inc({ region, topic }, entries.length);
    const lagMs = Math.max(0, clock.wallMs() - newest.entry.receivedMs);
    metrics.replicationLag.set({ topic, region }, lagMs / 1_000);
  }

  #goneSignal(reply: FastifyReply): AbortSignal {
    const gone = new AbortController();
    const { signal } = this.#stopping;
    const onGone = (): void => {
      signal.removeEventListener("abort", onGone);
      gone.abort();
    };
    reply.raw.once("close", onGone);
    signal.addEventListener("abort", onGone, { once: true });
    if (signal.aborted) onGone();
    return gone.signal;
  }
}

function tagOf(state: object): string {
  return createHash("sha256").update(JSON.stringify(state)).digest("base64url");
}
