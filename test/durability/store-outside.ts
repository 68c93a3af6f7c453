import { expect } from "vitest";
import type { DeliveryStore, EventStore, SqliteStore, StoredEvent } from "@fleetmesh/cloud-runtime";

const epoch = "00000000000000aa";
const topics = ["topic-0", "topic-1", "topic-2", "direct"];

/** What a region's store had promised to the world outside, which does not forget when the power goes. */
export class StoreOutside {
  readonly agents = new Map<string, number>();
  readonly direct = new Set<string>();
  committed = 0;

  hear(output: string): void {
    const lines = output.split("\n");
    // The kill may have torn the last line.
    lines.pop();
    for (const line of lines) {
      const [kind, one = "", two = ""] = line.split(" ");
      if (kind === "A") this.agents.set(one, Number(two));
      if (kind === "D") for (const id of one.split(",")) this.direct.add(id);
      if (kind === "C") this.committed = Number(one);
    }
  }

  /** How much of it the store does not know any more. Whatever else it holds must be whole, once and in order. */
  async missingIn({ events, deliveries }: SqliteStore): Promise<number> {
    const missing = [await this.#missingFromAgents(events), await this.#missingDirect(events)];
    missing.push(await this.#missingCommits(deliveries));
    await assertLedger(events);
    return missing.reduce((sum, one) => sum + one, 0);
  }

  async #missingFromAgents(store: EventStore): Promise<number> {
    const sequences = new Map<string, number[]>();
    for (const topic of topics.slice(0, 3)) {
      let last = new Map<string, number>();
      for (const { origin, entry } of await allOf(store, topic)) {
        const agentId = origin.agentId ?? "";
        expect(entry.sequence).toBeGreaterThan(last.get(agentId) ?? 0);
        expect(entry.event.id).toBe(`${agentId}-${entry.sequence}`);
        last = last.set(agentId, entry.sequence);
        const known = sequences.get(agentId) ?? [];
        known.push(entry.sequence);
        sequences.set(agentId, known);
      }
    }
    let missing = 0;
    for (const [agentId, acknowledged] of this.agents) {
      const watermark = (await store.watermarks(agentId, epoch)).normal;
      const stored = (sequences.get(agentId) ?? []).sort((a, b) => a - b);
      // Contiguous from 1, each once: exactly as many as the watermark says.
      expect(stored).toEqual(Array.from({ length: watermark?.sequence ?? 0 }, (_, at) => at + 1));
      expect(watermark?.stored ?? 0).toBe(stored.length);
      missing += Math.max(0, acknowledged - stored.length);
    }
    return missing;
  }

  async #missingDirect(store: EventStore): Promise<number> {
    const ids = (await allOf(store, "direct")).map(({ entry }) => entry.event.id);
    const present = new Set(ids);
    expect(present.size).toBe(ids.length);
    return [...this.direct].filter((id) => !present.has(id)).length;
  }

  async #missingCommits(store: DeliveryStore): Promise<number> {
    const [cursor] = await store.cursors("s");
    const position = Number(cursor?.position ?? 0);
    // Cursor, dead letters, retries and records moved together.
    const letters = await store.deadLetters({ limit: 1_000_000 });
    expect(letters.map(({ id }) => id)).toEqual(
      Array.from({ length: position }, (_, at) => `l${at + 1}`),
    );
    expect(cursor?.counts.deadLettered ?? 0).toBe(position);
    if (position > 0) {
      expect((await store.retries("s")).map((retry) => retry.position)).toEqual([String(position)]);
      expect(await store.records("topic-0", String(position))).toHaveLength(1);
    }
    return Math.max(0, this.committed - position);
  }
}

async function assertLedger(store: EventStore): Promise<void> {
  const ledger = await store.ledger();
  for (const topic of await store.topics()) {
    const counts = ledger.topics[topic];
    const stored = (await allOf(store, topic)).length;
    expect(counts?.stored).toBe(stored);
    expect((counts?.fromAgents ?? 0) + (counts?.direct ?? 0)).toBe(stored);
  }
}

async function allOf(store: EventStore, topic: string): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (let at = "earliest"; ;) {
    const page = await store.read(topic, at, { countMax: 1_000, bytesMax: 10_000_000 });
    events.push(...page.events);
    if (page.next === at) return events;
    at = page.next;
  }
}
