import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createLogger, noExtensions, systemChance, systemClock } from "@fleetmesh/core";
import { createEdgeAgent, edgeAgentConfigSchema } from "@fleetmesh/edge-agent";
import { eventText, type RuntimeHarness } from "../integration/runtime-harness.ts";

/** Publishes until it is told to stop, numbered from 1 on over five keys. What is acknowledged is in `acknowledged`. */
export interface DrillPublisher {
  readonly name: string;
  readonly acknowledged: readonly string[];
  /** Ends when what was acknowledged has left for the region. */
  stop(): Promise<void>;
}

const batch = 10;
const keyCount = 5;

const idOf = (name: string, number: number): string => `${name}-${number}`;
const keyOf = (number: number): string => `key-${number % keyCount}`;

/** A program that posts a batch until the region has taken it. */
export function startPoster(region: RuntimeHarness, topic: string): DrillPublisher {
  const name = `post-${region.region}`;
  const acknowledged: string[] = [];
  const stopping = new AbortController();
  const post = async (first: number): Promise<void> => {
    const numbers = Array.from({ length: batch }, (_, at) => first + at);
    const texts = numbers.map((at) =>
      eventText(idOf(name, at), { source: `/${name}`, subject: keyOf(at) }),
    );
    for (;;) {
      const answer = await region.publish(topic, ...texts).catch(() => undefined);
      if (answer?.ok === true) break;
      // A batch that was begun must be known to be stored or not: it is tried until it is.
      await delay(200);
    }
    acknowledged.push(...numbers.map((at) => idOf(name, at)));
  };
  const running = (async () => {
    for (let first = 1; !stopping.signal.aborted; first += batch) {
      await post(first);
      await delay(50);
    }
  })();
  return {
    ...{ name, acknowledged },
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

/** A vehicle: its agent acknowledges when the event is on its own disk. */
export async function startAgent(region: RuntimeHarness, topic: string): Promise<DrillPublisher> {
  const name = `car-${region.region}`;
  const dir = await mkdtemp(join(tmpdir(), "fleetmesh-drill-"));
  const token = await region.token(undefined, name);
  const url = `mqtt://127.0.0.1:${region.runtime.mqttPort}`;
  const reconnect = { initialMs: 100, maxMs: 1_000 };
  const config = { agentId: name, dataDir: dir, uplink: { url, token, reconnect } };
  const logger = createLogger({ part: name, level: "silent" });
  const ports = { clock: systemClock, chance: systemChance, logger };
  const agent = createEdgeAgent(edgeAgentConfigSchema.parse(config), ports);
  await agent.start();
  const acknowledged: string[] = [];
  const stopping = new AbortController();
  const running = (async () => {
    for (let number = 1; !stopping.signal.aborted; number += 1) {
      const id = idOf(name, number);
      await agent.publish(topic, {
        ...{ id, source: `/${name}`, type: "speed", subject: keyOf(number), time: undefined },
        ...{ datacontenttype: "application/json", dataschema: undefined, extensions: noExtensions },
        ...{ data: Buffer.from("1"), dataKind: "json" },
      });
      acknowledged.push(id);
      if (number % batch === 0) await delay(50);
    }
  })();
  return {
    ...{ name, acknowledged },
    stop: async () => {
      stopping.abort();
      await running;
      while ((await agent.ledger()).total.queued > 0) await delay(100);
      await agent.stop(AbortSignal.timeout(5_000));
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** A publisher's numbers in the order of the ids, by key. */
export function numbersByKey(ids: readonly string[], name: string): Map<string, number[]> {
  const byKey = new Map<string, number[]>();
  for (const id of ids) {
    if (!id.startsWith(`${name}-`)) continue;
    const number = Number(id.slice(name.length + 1));
    byKey.set(keyOf(number), [...(byKey.get(keyOf(number)) ?? []), number]);
  }
  return byKey;
}
