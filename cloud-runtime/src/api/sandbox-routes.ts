import { setImmediate } from "node:timers/promises";
import {
  compileTopicPattern,
  decodeStructured,
  isTopicPattern,
  MeshError,
  strictObject,
  type Clock,
  type MeshEvent,
} from "@fleetmesh/core";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { ReadTurns } from "../delivery/read-turns.ts";
import { SubscriptionFilter, type FailedClause } from "../filter/subscription-filter.ts";
import type { EventStore } from "../store/event-store.ts";
import { subscriptionBody } from "../subscription/subscription-schema.ts";
import { mayReadAll } from "../subscription/topic-permission.ts";
import { principalOf } from "./access.ts";
import { lastEvents } from "./last-events.ts";

export interface SandboxPorts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly maxEventBytes: number;
}

const eventCountMax = 100;
const topicCountMax = 50;
const timeMsMax = 2_000;
/** So many look into the store at once; the others wait. */
const readersMax = 2;

const { source, types, filters } = subscriptionBody.shape;
const givenEvent = z.record(z.string(), z.unknown());
const matchBody = strictObject({
  ...{ source, types, filters },
  topic: z.string().refine(isTopicPattern, "must be a topic or a topic pattern").optional(),
  event: z.union([givenEvent, z.array(givenEvent).min(1).max(eventCountMax)]).optional(),
  last: z.int().min(1).max(eventCountMax).optional(),
});
type MatchBody = z.output<typeof matchBody>;

interface Sample {
  readonly event: MeshEvent;
  readonly topic?: string | undefined;
  readonly position?: string | undefined;
  readonly receivedAt?: string | undefined;
}

interface MatchResult extends Omit<Sample, "event"> {
  readonly event: { readonly id: string; readonly source: string; readonly type: string };
  readonly matched: boolean;
  readonly failed?: FailedClause | undefined;
}

/** Rules tried on events, without a subscription and without sending anything. */
export function registerSandboxRoutes(app: FastifyInstance, ports: SandboxPorts): void {
  const turns = new ReadTurns(readersMax);
  app.post("/v1/sandbox/match", async (request) => {
    const body = matchBody.parse(request.body ?? {});
    const { topic } = body;
    if (topic !== undefined && !mayReadAll(principalOf(request), topic))
      throw new MeshError("NOT_PERMITTED", `The token does not permit reading "${topic}"`);
    const filter = new SubscriptionFilter(body);
    return turns.run(async () => tryOn(filter, await samplesOf(ports, body), ports.clock));
  });
}

async function samplesOf(ports: SandboxPorts, body: MatchBody): Promise<readonly Sample[]> {
  const { event, topic, last } = body;
  if (event !== undefined && last === undefined)
    return [event].flat().map((one, index) => ({ topic, event: eventOf(one, index, ports) }));
  if (event === undefined && last !== undefined && topic !== undefined)
    return lastOf(ports, topic, last);
  throw new MeshError("REQUEST_INVALID", 'Give either "event", or "topic" and "last"');
}

function eventOf(given: unknown, index: number, { maxEventBytes }: SandboxPorts): MeshEvent {
  try {
    return decodeStructured(Buffer.from(JSON.stringify(given)), { maxEventBytes });
  } catch (error) {
    if (!MeshError.is(error)) throw error;
    throw new MeshError(error.kind, `Event ${index}: ${error.message}`, { details: { index } });
  }
}

/** The newest of all topics together, oldest first. */
async function lastOf(
  { store, clock }: SandboxPorts,
  pattern: string,
  count: number,
): Promise<readonly Sample[]> {
  const isWanted = compileTopicPattern(pattern);
  const topics = (await store.topics()).filter(isWanted).slice(0, topicCountMax);
  const nowMs = clock.wallMs() + 1;
  const found = [];
  for (const topic of topics) found.push(...(await lastEvents(store, { topic, count, nowMs })));
  const newest = found.sort((one, other) => one.entry.receivedMs - other.entry.receivedMs);
  return newest.slice(-count).map(({ topic, position, entry }) => ({
    ...{ topic, position, event: entry.event },
    receivedAt: new Date(entry.receivedMs).toISOString(),
  }));
}

/** One event at a time, so that others are served in between; what is not tried in time is said. */
async function tryOn(
  filter: SubscriptionFilter,
  samples: readonly Sample[],
  clock: Clock,
): Promise<object> {
  const endMs = clock.monotonicMs() + timeMsMax;
  const results: MatchResult[] = [];
  for (const { event, ...where } of samples) {
    if (clock.monotonicMs() > endMs) break;
    const { id, source: from, type } = event;
    const failed = filter.failedClause(event);
    const matched = failed === undefined;
    results.push({ ...where, event: { id, source: from, type }, matched, failed });
    await setImmediate();
  }
  const untried = samples.length - results.length;
  const matched = results.filter((one) => one.matched).length;
  return { tried: results.length, matched, ...(untried > 0 && { untried }), results };
}
