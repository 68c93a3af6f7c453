import { MeshError } from "@fleetmesh/core";
import type { EventStore, Position, StoredEvent } from "@fleetmesh/cloud-runtime";

/** What the suite needs from an implementation. Time is the fixture's, so that a real broker's can really pass. */
export interface EventStoreFixture {
  readonly store: EventStore;
  /** The region's name and limits that the store was opened with. */
  readonly region: string;
  readonly directWindow: number;
  readonly retentionMs: number;
  nowMs(): number;
  pass(ms: number): Promise<void>;
  /** Stops the process of the store cleanly and opens what it left. */
  reopen(): Promise<EventStore>;
  close(): Promise<void>;
}

export const topic = "vehicle.speed";
export const page = { countMax: 1_000, bytesMax: 1_000_000 };

/** Every event of a topic behind a position, page by page. */
export async function readAll(
  store: EventStore,
  of = topic,
  after: Position = "earliest",
): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (let at = after; ;) {
    const { events: more, next } = await store.read(of, at, page);
    events.push(...more);
    if (next === at) return events;
    at = next;
  }
}

export function idsOf(events: readonly StoredEvent[]): string[] {
  return events.map(({ entry }) => entry.event.id);
}

/** The MeshError with which a call fails; anything else fails the test. */
export async function failure(promise: Promise<unknown>): Promise<MeshError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!MeshError.is(error)) throw new Error(`no MeshError but ${String(error)}`);
  return error;
}
