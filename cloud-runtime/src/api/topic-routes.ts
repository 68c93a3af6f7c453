import { assertTopic, strictObject, type Clock } from "@fleetmesh/core";
import type { Principal } from "@fleetmesh/door";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { unknownTopic } from "../ingress/topic-admission.ts";
import type { Metadata } from "../metadata/metadata.ts";
import type { EventStore } from "../store/event-store.ts";
import { assertMaySubscribe, assertOperator, principalOf } from "./access.ts";
import { eventPage } from "./event-page.ts";

export interface ReadingPorts {
  readonly store: EventStore;
  readonly metadata: Metadata;
  readonly clock: Clock;
}

const pageBytesMax = 4 * 1024 * 1024;
const readQuery = z.object({
  after: z.string().min(1).max(200).default("earliest"),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
const topicBody = strictObject({
  retentionMs: z
    .int()
    .min(60_000)
    .default(7 * 24 * 3_600_000),
  retentionBytes: z
    .int()
    .min(1_048_576)
    .default(10 * 2 ** 30),
});
type TopicParams = { Params: { topic: string } };

export function registerTopicRoutes(app: FastifyInstance, ports: ReadingPorts): void {
  app.get("/v1/topics", async (request) => ({
    topics: await listTopics(ports, principalOf(request)),
  }));

  app.get<TopicParams>("/v1/topics/:topic/events", async (request, reply) => {
    const { topic } = request.params;
    const principal = principalOf(request);
    assertTopic(topic);
    assertMaySubscribe(principal, topic);
    assertKnown(ports.metadata, principal, topic);
    const { after, limit } = readQuery.parse(request.query);
    const page = await ports.store.read(topic, after, {
      countMax: limit,
      bytesMax: pageBytesMax,
    });
    return reply.type("application/json").send(
      eventPage(
        page.events.map(({ entry }) => entry.event),
        { next: page.next },
      ),
    );
  });

  app.put<TopicParams>("/v1/topics/:topic", async (request, reply) => {
    assertOperator(principalOf(request));
    const { topic } = request.params;
    assertTopic(topic);
    const spec = { name: topic, ...topicBody.parse(request.body ?? {}) };
    await ports.metadata.putTopic(spec);
    return reply.send(spec);
  });
}

/** Permission was asked before: a name that the token may not read looks the same whether it exists or not. */
function assertKnown(metadata: Metadata, principal: Principal, topic: string): void {
  if (metadata.topic(topic) === undefined) throw unknownTopic(metadata, principal, topic);
}

async function listTopics(ports: ReadingPorts, principal: Principal): Promise<object[]> {
  const stored = new Set(await ports.store.topics());
  const visible = ports.metadata
    .topics()
    .filter(({ name }) => principal.maySubscribe(name) || principal.mayPublish(name));
  return Promise.all(
    visible.map(async (spec) => {
      const bounds = stored.has(spec.name) ? await ports.store.bounds(spec.name) : emptyBounds;
      return { ...spec, ...bounds };
    }),
  );
}

const emptyBounds = { stored: 0, trimmed: 0 };
