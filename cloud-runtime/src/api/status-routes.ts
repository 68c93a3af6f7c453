import type { Clock } from "@fleetmesh/core";
import type { FastifyInstance } from "fastify";
import type { Metadata } from "../metadata/metadata.ts";
import type { EventStore } from "../store/event-store.ts";
import { mayReadAll } from "../subscription/topic-permission.ts";
import { principalOf } from "./access.ts";
import type { RateBoard } from "./rate-board.ts";

export interface StatusPorts {
  readonly region: string;
  readonly store: EventStore;
  readonly metadata: Metadata;
  readonly rates: RateBoard;
  readonly clock: Clock;
  readonly agentsConnected: () => number;
  readonly maxEventBytes: number;
}

/** `GET /v1/status` and `/v1/meta`: the region's numbers for a panel or a person; only what the token may see. */
export function registerStatusRoutes(app: FastifyInstance, ports: StatusPorts): void {
  const startedMs = ports.clock.wallMs();
  const startedMonotonicMs = ports.clock.monotonicMs();
  const meta = {
    region: ports.region,
    startedAt: new Date(startedMs).toISOString(),
    limits: { maxEventBytes: ports.maxEventBytes },
  };
  app.get("/v1/meta", () => meta);
  app.get("/v1/status", async (request) => {
    const principal = principalOf(request);
    const maySee = (topic: string): boolean =>
      principal.isOperator || principal.maySubscribe(topic) || principal.mayPublish(topic);
    const ledger = await ports.store.ledger();
    const rates = ports.rates.perSecond();
    const topics = ports.metadata
      .topics()
      .filter(({ name }) => maySee(name))
      .map(({ name }) => ({
        name,
        stored: ledger.topics[name]?.stored ?? 0,
        perSecond: rates[name] ?? 0,
      }));
    const subscriptions = ports.metadata
      .subscriptions()
      .filter(({ topic }) => mayReadAll(principal, topic))
      .map(({ id, topic, state, consumergroup }) => ({ id, topic, state, consumergroup }));
    return {
      ...meta,
      uptimeSeconds: Math.round((ports.clock.monotonicMs() - startedMonotonicMs) / 1_000),
      agentsConnected: ports.agentsConnected(),
      storedPerSecond: Math.round(topics.reduce((sum, { perSecond }) => sum + perSecond, 0)),
      stored: topics.reduce((sum, { stored }) => sum + stored, 0),
      rejected: ledger.rejected,
      topics,
      subscriptions,
    };
  });
}
