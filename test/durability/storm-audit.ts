import type { MeshProcesses } from "./mesh-processes.ts";
import { counterOf, keyOf, type Sent, type StormJournal } from "./storm-journal.ts";
import type { StormSink } from "./storm-sink.ts";

/** Ids of all events of a topic in a region, oldest first, as anybody can read them. */
export async function storedIds(
  mesh: MeshProcesses,
  region: 1 | 2,
  topic: string,
): Promise<string[]> {
  const ids: string[] = [];
  for (let after = "earliest"; ;) {
    const query = `after=${encodeURIComponent(after)}&limit=1000`;
    const page = (await mesh.json(region, `/v1/topics/${topic}/events?${query}`)) as {
      events: { id: string; data: { key: string; n: number }; partitionkey: string }[];
      next: string;
    };
    if (page.events.length === 0) return ids;
    for (const { id, data, partitionkey } of page.events) {
      if (id !== `${data.key}-${data.n}` || partitionkey !== data.key)
        throw new Error(`changed on its way: ${id}`);
      ids.push(id);
    }
    after = page.next;
  }
}

/** What a region's store holds against what the publishers may rely on. */
export function storeFaults(
  where: string,
  ids: readonly string[],
  sent: readonly Sent[],
): string[] {
  const faults: string[] = [];
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const { id, isAcknowledged } of sent) {
    const count = counts.get(id) ?? 0;
    if (isAcknowledged && count === 0) faults.push(`${where}: ${id} is lost`);
    if (count > 1) faults.push(`${where}: ${id} is stored ${count} times`);
    counts.delete(id);
  }
  for (const id of counts.keys()) faults.push(`${where}: nobody sent ${id}`);
  return [...faults, ...orderFaults(where, [...new Set(ids)])];
}

/** What a subscriber got. */
export function sinkFaults(sink: StormSink, sent: readonly Sent[]): string[] {
  const faults: string[] = [];
  const seen = new Set<string>();
  for (const { id, isAcknowledged } of sent)
    if (isAcknowledged && !sink.webhookIds.has(id)) faults.push(`${sink.name}: ${id} never came`);
  for (const [id, webhookIds] of sink.webhookIds) {
    const [first = ""] = webhookIds;
    if (seen.has(first)) faults.push(`${sink.name}: ${first} is the id of two events`);
    seen.add(first);
    if (webhookIds.size === 1) continue;
    faults.push(`${sink.name}: ${id} came as ${[...webhookIds].join(" and ")}`);
  }
  return [...faults, ...orderFaults(sink.name, sink.first)];
}

/** Within a key the counters rise. */
function orderFaults(where: string, ids: readonly string[]): string[] {
  const faults: string[] = [];
  const last = new Map<string, number>();
  for (const id of ids) {
    const [key, n] = [keyOf(id), counterOf(id)];
    const before = last.get(key) ?? 0;
    if (n < before) faults.push(`${where}: ${id} after ${key}-${before}`);
    last.set(key, n);
  }
  return faults;
}

export function figures(journal: StormJournal, ids: readonly string[]): Record<string, number> {
  const all = [...journal.sent.values()];
  return {
    sent: all.length,
    acknowledged: all.filter(({ isAcknowledged }) => isAcknowledged).length,
    sentAgain: all.filter(({ sendings }) => sendings > 1).length,
    storedTwiceThroughTheEdge: ids.length - new Set(ids).size,
  };
}
