import { MeshError } from "@fleetmesh/core";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { explainEvent } from "../delivery/explain-event.ts";
import type { DeliveryStore } from "../store/delivery-store.ts";
import type { EventStore, RejectedRecord, StoredEvent } from "../store/event-store.ts";
import type { Metadata } from "../metadata/metadata.ts";
import { principalOf } from "./access.ts";
import { withEvent } from "./event-page.ts";

export interface TracePorts {
  readonly store: EventStore;
  readonly deliveries: DeliveryStore;
  readonly metadata: Metadata;
}

const searchQuery = z.object({
  id: z.string().min(1).max(2_000),
  source: z.string().min(1).max(2_000).optional(),
});
const rejectedLookBack = 1_000;

export function registerTraceRoutes(app: FastifyInstance, ports: TracePorts): void {
  app.get<{ Params: { source: string; id: string } }>(
    "/v1/events/:source/:id/trace",
    async (request, reply) => {
      const { source, id } = request.params;
      const principal = principalOf(request);
      const body = await traceOf(ports, { id, source }, principal.maySubscribe);
      return reply.type("application/json").send(body);
    },
  );

  app.get("/v1/events", async (request, reply) => {
    const query = searchQuery.parse(request.query);
    const principal = principalOf(request);
    const body = await traceOf(ports, query, principal.maySubscribe);
    return reply.type("application/json").send(body);
  });
}

interface Wanted {
  readonly id: string;
  readonly source?: string | undefined;
}

/** What may not be read is not found: the answer must not tell that it exists. */
async function traceOf(
  ports: TracePorts,
  wanted: Wanted,
  maySee: (topic: string) => boolean,
): Promise<Buffer> {
  const stored = (await ports.store.find(wanted.id, wanted.source)).filter((found) =>
    maySee(found.topic),
  );
  const rejected = (await ports.store.rejected(rejectedLookBack)).filter(
    ({ entry }) => isWanted(entry.event, wanted) && maySee(entry.topic),
  );
  if (stored.length + rejected.length === 0) {
    throw new MeshError("NOT_FOUND", "No event with this id is stored here", {
      hint: "Retention may have dropped it, or it is in another region or still on the vehicle.",
    });
  }
  const parts = await Promise.all(stored.map((found) => storedTrace(ports, found)));
  parts.push(...rejected.map(rejectedTrace));
  const joined = parts.flatMap((part, at) => (at === 0 ? [part] : [Buffer.from(","), part]));
  return Buffer.concat([Buffer.from('{"traces":['), ...joined, Buffer.from("]}")]);
}

function isWanted(event: { id: string; source: string }, wanted: Wanted): boolean {
  return event.id === wanted.id && (wanted.source === undefined || event.source === wanted.source);
}

async function storedTrace(ports: TracePorts, found: StoredEvent): Promise<Buffer> {
  return withEvent(found.entry.event, {
    outcome: "stored",
    topic: found.topic,
    position: found.position,
    receivedAt: new Date(found.entry.receivedMs).toISOString(),
    origin: { ...found.origin, sequence: found.entry.sequence || undefined },
    subscriptions: await explainEvent(ports, found),
  });
}

function rejectedTrace({ entry, origin, code, reason, atMs }: RejectedRecord): Buffer {
  return withEvent(entry.event, {
    outcome: "rejected",
    topic: entry.topic,
    code,
    reason,
    at: new Date(atMs).toISOString(),
    origin: { ...origin, sequence: entry.sequence },
  });
}
