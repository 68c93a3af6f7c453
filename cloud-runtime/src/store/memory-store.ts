import type { Clock } from "@fleetmesh/core";
import { MemoryCommits, type CrashLeaves } from "./memory/memory-commits.ts";
import { MemoryDeliveryStore } from "./memory/memory-delivery-store.ts";
import { MemoryEventStore } from "./memory/memory-event-store.ts";
import { retentionDefault, type RetentionOf } from "./shared/retention.ts";

export interface MemoryStoreOptions {
  readonly region: string;
  readonly clock: Clock;
  /** How long a commit takes; 0 = until the current turn of the event loop is over. Milliseconds. */
  readonly commitMs?: number;
  readonly directWindow?: number;
  readonly retention?: RetentionOf;
  readonly recordsMax?: number;
  /** A listener or the store's own trimming failed. */
  readonly onFailure?: (error: unknown) => void;
}

/** Both stores of a region in memory, with the faults that a simulation needs. */
export interface MemoryStore {
  readonly events: MemoryEventStore;
  readonly deliveries: MemoryDeliveryStore;
  /**
   * The process dies: what was not committed is lost (or, by choice, stored without its answer), listeners are gone.
   * Calls fail until both are started again; then they hold what was durable.
   */
  crash(leaves?: CrashLeaves): void;
  /** Every write fails with STORE_UNAVAILABLE and this text, as on a full disk; undefined ends it. */
  setFault(reason: string | undefined): void;
  /** A backup of what is durable now: a store of its own, not started. */
  backup(): MemoryStore;
}

export function openMemoryStore(options: MemoryStoreOptions): MemoryStore {
  const commits = commitsOf(options);
  const events = new MemoryEventStore(commits, {
    region: options.region,
    clock: options.clock,
    directWindow: options.directWindow ?? 100_000,
    retention: options.retention ?? (() => retentionDefault),
    onFailure: options.onFailure ?? (() => undefined),
  });
  const deliveries = new MemoryDeliveryStore(commits, options.recordsMax ?? 100_000);
  return storeOf(options, { commits, events, deliveries });
}

interface MemoryParts {
  readonly commits: MemoryCommits;
  readonly events: MemoryEventStore;
  readonly deliveries: MemoryDeliveryStore;
}

function commitsOf({ clock, commitMs }: MemoryStoreOptions): MemoryCommits {
  return new MemoryCommits(clock, commitMs ?? 0);
}

function storeOf(options: MemoryStoreOptions, parts: MemoryParts): MemoryStore {
  const { commits, events, deliveries } = parts;
  return {
    events,
    deliveries,
    crash: (leaves = "nothing") => {
      events.crashed();
      commits.crash(leaves);
    },
    setFault: (reason) => commits.setFault(reason),
    backup: () => {
      const fresh = commitsOf(options);
      const copies = { events: events.copy(fresh), deliveries: deliveries.copy(fresh) };
      return storeOf(options, { commits: fresh, ...copies });
    },
  };
}
