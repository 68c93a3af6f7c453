import { assertTopic, strictObject } from "@fleetmesh/core";
import type { Principal } from "@fleetmesh/door";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { unknownTopic } from "../ingress/topic-admission.ts";
import type { Metadata, TopicSpec } from "../metadata/metadata.ts";
import type { TopicRemoval } from "../metadata/topic-removal.ts";
import type { EventStore, Page, Position } from "../store/event-store.ts";
import { assertMaySubscribe, assertOperator, principalOf } from "./access.ts";
import { eventPage } from "./event-page.ts";

export interface TopicPorts {
  readonly store: EventStore;
  readonly metadata: Metadata;
  readonly removal: TopicRemoval;
}

const pageBytesMax = 4 * 1024 * 1024;
const damagedPagesMax = 100;
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
  /** Pulsar keeps it with the topic, where room is small. */
  schema: z.string().min(1).max(16_384).optional(),
});
type TopicParams = { Params: { topic: string } };

export function registerTopicRoutes(app: FastifyInstance, ports: TopicPorts): void {
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
    const { page, damaged } = await readOver(ports.store, topic, { after, limit });
    const fields = { next: page.next, ...(damaged > 0 && { damaged }) };
    const events = page.events.map(({ entry }) => entry.event);
    return reply.type("application/json").send(eventPage(events, fields));
  });

  app.put<TopicParams>("/v1/topics/:topic", async (request, reply) => {
    assertOperator(principalOf(request));
    const { topic } = request.params;
    assertTopic(topic);
    const spec = { name: topic, ...topicBody.parse(request.body ?? {}) };
    await ports.metadata.putTopic(spec);
    return reply.send(spec);
  });

  app.delete<TopicParams>("/v1/topics/:topic", async (request, reply) => {
    assertOperator(principalOf(request));
    const { topic } = request.params;
    assertTopic(topic);
    const waitsFor = await ports.removal.remove(topic);
    if (waitsFor === undefined) return reply.code(204).send();
    return reply.code(202).send({ name: topic, removing: true, waitsFor });
  });
}

/** An empty page means to clients that nothing follows: where the disk spoilt events, it is read on behind them. */
async function readOver(
  store: EventStore,
  topic: string,
  { after, limit }: { after: Position; limit: number },
): Promise<{ page: Page; damaged: number }> {
  const bounds = { countMax: limit, bytesMax: pageBytesMax };
  let page = await store.read(topic, after, bounds);
  let damaged = 0;
  for (let passed = 0; page.damaged && passed < damagedPagesMax; passed += 1) {
    damaged += page.damaged.length;
    page = await store.read(topic, page.next, bounds);
  }
  return { page, damaged };
}

/** Permission was asked before: a name that the token may not read looks the same whether it exists or not. */
function assertKnown(metadata: Metadata, principal: Principal, topic: string): void {
  if (metadata.topic(topic) === undefined) throw unknownTopic(metadata, principal, topic);
}

async function listTopics(ports: TopicPorts, principal: Principal): Promise<object[]> {
  const { store, metadata, removal } = ports;
  const stored = new Set(await store.topics());
  const isVisible = ({ name }: TopicSpec): boolean =>
    principal.maySubscribe(name) || principal.mayPublish(name);
  const boundsOf = (name: string) => (stored.has(name) ? store.bounds(name) : emptyBounds);
  const kept = metadata.topics().filter(isVisible);
  const leaving = metadata.removing().filter(isVisible);
  return Promise.all([
    ...kept.map(async (spec) => ({ ...spec, ...(await boundsOf(spec.name)) })),
    ...leaving.map(async (spec) => {
      const removing = { removing: true, waitsFor: removal.reasonFor(spec.name) };
      return { ...spec, ...(await boundsOf(spec.name)), ...removing };
    }),
  ]);
}

const emptyBounds = { stored: 0, trimmed: 0 };
