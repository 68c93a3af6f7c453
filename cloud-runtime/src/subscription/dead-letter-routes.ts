import { MeshError, strictObject } from "@fleetmesh/core";
import type { Principal } from "@fleetmesh/door";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { withEvent } from "../api/event-page.ts";
import type { DeadLetterChoice, Redrive } from "../delivery/redrive.ts";
import type { Metadata } from "../metadata/metadata.ts";
import type { DeadLetter, DeliveryStore } from "../store/delivery-store.ts";
import { mayReadAll } from "./topic-permission.ts";

export interface DeadLetterRoutesOptions {
  readonly deliveries: DeliveryStore;
  readonly metadata: Metadata;
  readonly redrive: Redrive;
  readonly principalOf: (request: FastifyRequest) => Principal;
}

const listQuery = z.object({
  subscription: z.string().max(200).optional(),
  topic: z.string().max(200).optional(),
  after: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});
const choiceBody = strictObject({
  ids: z.array(z.string().max(200)).min(1).max(10_000).optional(),
  subscription: z.string().max(200).optional(),
  topic: z.string().max(200).optional(),
  all: z.literal(true).optional(),
}).refine(
  ({ ids, subscription, topic, all }) => Boolean(ids ?? subscription ?? topic ?? all),
  'say which: "ids", "subscription", "topic" or "all": true',
);

/** `/v1/dead-letters`: an operator sees and handles those of topics that the token may read. */
export function registerDeadLetterRoutes(
  app: FastifyInstance,
  { deliveries, metadata, redrive, principalOf }: DeadLetterRoutesOptions,
): void {
  app.get("/v1/dead-letters", async (request, reply) => {
    const principal = operatorOf(principalOf(request));
    const letters = await deliveries.deadLetters(listQuery.parse(request.query));
    const shown = letters.filter(({ topic }) => principal.maySubscribe(topic)).map(letterJson);
    const next = letters.at(-1)?.id;
    const tail = next === undefined ? "]}" : `],"next":${JSON.stringify(next)}}`;
    const parts = shown.flatMap((part, at) => (at === 0 ? [part] : [Buffer.from(","), part]));
    const body = Buffer.concat([Buffer.from('{"deadLetters":['), ...parts, Buffer.from(tail)]);
    return reply.type("application/json").send(body);
  });
  app.get("/v1/dead-letters/groups", async (request) => {
    const principal = operatorOf(principalOf(request));
    const groups = await deliveries.deadLetterGroups();
    // Of a subscription that is gone, nobody knows the topics any more.
    const topicOf = (id: string): string => metadata.subscription(id)?.topic ?? ">";
    return { groups: groups.filter((one) => mayReadAll(principal, topicOf(one.subscription))) };
  });
  app.get<{ Params: { id: string } }>("/v1/dead-letters/:id", async (request, reply) => {
    const principal = operatorOf(principalOf(request));
    const letter = await letterWith(deliveries, request.params.id);
    if (letter === undefined || !principal.maySubscribe(letter.topic))
      throw new MeshError("NOT_FOUND", "There is no dead letter with this id");
    return reply.type("application/json").send(letterJson(letter));
  });
  app.post("/v1/dead-letters/redrive", async (request, reply) => {
    const accepted = await redrive.request(choiceOf(request, principalOf(request)));
    return reply.code(202).send({ accepted });
  });
  app.post("/v1/dead-letters/discard", async (request) => {
    return { discarded: await redrive.discard(choiceOf(request, principalOf(request))) };
  });
}

/** Page by page: people ask for one letter seldom, so the store keeps no index for it. */
async function letterWith(deliveries: DeliveryStore, id: string): Promise<DeadLetter | undefined> {
  for (let after: string | undefined; ;) {
    const page = await deliveries.deadLetters({ after, limit: 500 });
    const found = page.find((letter) => letter.id === id);
    after = page.at(-1)?.id;
    if (found !== undefined || after === undefined) return found;
  }
}

function choiceOf(request: FastifyRequest, principal: Principal): DeadLetterChoice {
  operatorOf(principal);
  const { ids, subscription, topic } = choiceBody.parse(request.body);
  return {
    ids,
    subscription,
    topic,
    isPermitted: (letter) => principal.maySubscribe(letter.topic),
  };
}

function operatorOf(principal: Principal): Principal {
  if (principal.isOperator) return principal;
  throw new MeshError("NOT_PERMITTED", "Only an operator's token permits this");
}

function letterJson(letter: DeadLetter): Buffer {
  const { id, subscription, topic, position, atMs, reason, attempts, origin, entry } = letter;
  const at = new Date(atMs).toISOString();
  const facts = { id, subscription, topic, position, at, reason, attempts, origin };
  return withEvent(entry.event, facts);
}
