import { setTimeout as delay } from "node:timers/promises";
import { MeshError } from "@fleetmesh/core";
import type { EventStore } from "@fleetmesh/cloud-runtime";
import { afterEach, describe, expect, it } from "vitest";
import { agentEvents } from "../contract/event-samples.ts";
import { readAll, topic } from "../contract/event-store-probe.ts";
import { serverStores } from "../contract/pulsar-fixtures.ts";
import { PulsarServer } from "../servers/pulsar-server.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";
import type { PulsarStore } from "../../cloud-runtime/src/store/pulsar-store.ts";

const missing = sharedPulsarMissing();
const epoch = "00000000000000aa";
const batch = 20;

interface Progress {
  readonly agentId: string;
  answered: number;
  /** Why it last had to wait. */
  failure?: string;
}

/** An agent that sends until told to stop, and rewinds to what the region knows after each failure. */
async function drive(store: EventStore, progress: Progress, stop: AbortSignal): Promise<void> {
  const { agentId } = progress;
  while (!stop.aborted) {
    try {
      const sends = [0, 1, 2].map((at) => {
        const first = progress.answered + 1 + at * batch;
        return store.appendFromAgent(
          agentEvents({ agentId, epoch, first, last: first + batch - 1 }),
        );
      });
      for (const result of await Promise.allSettled(sends)) {
        if (result.status === "rejected") throw MeshError.from(result.reason);
        progress.answered = Math.max(progress.answered, result.value.watermark.sequence);
      }
    } catch (error) {
      if (!MeshError.is(error) || !error.retryable) throw error;
      progress.failure = error.message;
      await delay(100);
      const known = await store.watermarks(agentId, epoch).catch(() => undefined);
      if (!known) continue;
      const { sequence } = known.normal ?? { sequence: 0 };
      expect(sequence, agentId).toBeGreaterThanOrEqual(progress.answered);
      progress.answered = sequence;
    }
  }
}

async function check(store: EventStore, agents: readonly Progress[]): Promise<void> {
  const events = await readAll(store);
  for (const { agentId, answered } of agents) {
    const own = events.filter(({ origin }) => origin.agentId === agentId);
    const sequences = own.map(({ entry }) => entry.sequence);
    expect(sequences).toEqual(Array.from(sequences, (_, index) => index + 1));
    expect(sequences.length).toBeGreaterThanOrEqual(answered);
  }
  expect((await store.ledger()).topics[topic]).toMatchObject({ stored: events.length });
}

describe.skipIf(missing !== undefined)("the store over a real Pulsar that fails", () => {
  const open: { close: () => Promise<unknown> }[] = [];
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });

  const started = async (
    client: "binary" | "websocket",
  ): Promise<{ server: PulsarServer; store: PulsarStore }> => {
    const server = await PulsarServer.start({ name: "cn-east" });
    open.push(server);
    const stores = await serverStores(server, {
      ...{ retentionMs: 3_600_000, sendTimeoutMs: 3_000, client },
    });
    const store = stores();
    await store.part.start();
    open.push({ close: () => store.part.stop(AbortSignal.timeout(5_000)) });
    return { server, store };
  };

  it.each([
    ["is killed and started again", "binary"],
    ["is killed and started again", "websocket"],
    ["stands still until sends time out", "binary"],
    ["stands still until sends time out", "websocket"],
  ] as const)(
    "loses nothing that it answered and gives nothing out twice when the broker %s under load: %s",
    async (fault, client) => {
      const { server, store } = await started(client);
      const stop = new AbortController();
      const agents = ["car-1", "car-2", "car-3", "car-4"].map((agentId) => ({
        agentId,
        answered: 0,
      }));
      const driven = agents.map((agent) => drive(store.events, agent, stop.signal));
      await delay(1_500);
      if (fault.startsWith("is killed")) {
        await server.kill();
        await server.restart();
      } else {
        server.freeze();
        await delay(5_000);
        server.resume();
      }
      const before = agents.map(({ answered }) => answered);
      expect(Math.min(...before)).toBeGreaterThan(batch);
      const behind = (): Progress[] =>
        agents.filter(({ answered }, at) => answered <= (before[at] ?? 0) + 10 * batch);
      for (let waited = 0; waited < 600 && behind().length > 0; waited += 1) await delay(100);
      expect(behind(), `after ${before.join(", ")}`).toEqual([]);
      stop.abort();
      await Promise.all(driven);
      await check(store.events, agents);
    },
  );
});
