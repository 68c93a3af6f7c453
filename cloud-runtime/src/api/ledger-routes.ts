import type { FastifyInstance } from "fastify";
import type { Dispatcher } from "../delivery/dispatcher.ts";
import { booksOf } from "../delivery/subscription-status.ts";
import type { Metadata } from "../metadata/metadata.ts";
import { mayReadAll } from "../subscription/topic-permission.ts";
import type { EventStore, StoreLedger } from "../store/event-store.ts";
import { principalOf } from "./access.ts";

export interface LedgerPorts {
  readonly region: string;
  readonly store: EventStore;
  readonly metadata: Metadata;
  readonly dispatcher: Dispatcher;
}

/**
 * `GET /v1/ledger`: per topic stored = from agents + direct + replicated in, and stored = readable + trimmed + the damaged that
 * retention has not taken; and each subscription's balance.
 */
export function registerLedgerRoutes(app: FastifyInstance, ports: LedgerPorts): void {
  app.get("/v1/ledger", async (request) => {
    const principal = principalOf(request);
    const maySee = (topic: string): boolean =>
      principal.isOperator || principal.maySubscribe(topic);
    const ledger = await ports.store.ledger();
    const topics = Object.entries(ledger.topics).filter(([topic]) => maySee(topic));
    const readable = ports.metadata
      .subscriptions()
      .filter(({ topic }) => principal.isOperator || mayReadAll(principal, topic));
    const subscriptions = await Promise.all(
      readable.map((subscription) => booksOf(ports.dispatcher, ports.store, subscription)),
    );
    const balanced = topics.map(([topic, counts]) => ({ topic, ...counts, ...balanceOf(counts) }));
    return {
      region: ports.region,
      topics: balanced,
      duplicates: ledger.duplicates,
      ...replicationOf(ledger, maySee),
      rejected: ledger.rejected,
      gaps: ledger.gaps,
      subscriptions,
      difference: sum(balanced) + sum(subscriptions),
    };
  });
}

/** What the audit of replication says, by topic and origin region; nothing where brokers do not replicate. */
function replicationOf(ledger: StoreLedger, maySee: (topic: string) => boolean) {
  if (!ledger.replication) return {};
  const seen = Object.entries(ledger.replication).filter(([topic]) => maySee(topic));
  const replication = seen.flatMap(([topic, regions]) =>
    Object.entries(regions).map(([region, account]) => ({ topic, region, ...account })),
  );
  return { replication, unknownRegions: ledger.unknownRegions ?? 0 };
}

function balanceOf(counts: StoreLedger["topics"][string]): { readonly difference: number } {
  const { stored, fromAgents, direct, replicated } = counts;
  return { difference: stored - fromAgents - direct - replicated };
}

function sum(accounts: readonly { readonly difference: number }[]): number {
  return accounts.reduce((total, { difference }) => total + Math.abs(difference), 0);
}
