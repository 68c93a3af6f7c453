import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededChance } from "@fleetmesh/core";
import type { RuntimeConfigInput } from "@fleetmesh/cloud-runtime";
import { createSigningKey, issueToken } from "@fleetmesh/door";
import { afterEach, describe, expect, it } from "vitest";
import { meshBin, MeshProcess, pause } from "../durability/mesh-processes.ts";
import { sinkFaults, storeFaults } from "../durability/storm-audit.ts";
import { StormJournal } from "../durability/storm-journal.ts";
import { StormPublisher, type Mode } from "../durability/storm-publishers.ts";
import { StormSink } from "../durability/storm-sink.ts";
import { until } from "../integration/delivery-sink.ts";
import { allowAll } from "../integration/runtime-harness.ts";
import { freePorts } from "../servers/free-ports.ts";
import { sharedPulsar } from "../servers/shared-pulsar.ts";
import { pulsarStoreConfig } from "./pulsar-store-config.ts";

const topic = "storm.pulsar";
const modes: readonly Mode[] = ["binary", "batch", "mqtt"];
const killCount = 4;
const seed = Number(process.env["STORM_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

describe(`a runtime on Pulsar that is killed under load, STORM_SEED=${seed}`, () => {
  const open: { close: () => Promise<unknown> }[] = [];
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });

  const started = async (store: RuntimeConfigInput["store"]) => {
    const dir = await mkdtemp(join(tmpdir(), "fleetmesh-killed-"));
    open.push({ close: () => rm(dir, { recursive: true, force: true }) });
    const key = await createSigningKey("test");
    const token = await issueToken(key, { sub: "storm", jti: "1", mesh: allowAll });
    const [port = 0, mqttPort = 0] = await freePorts(2);
    const config: RuntimeConfigInput = {
      ...{ region: "cn-east", dataDir: join(dir, "data"), store },
      ...{ http: { port }, mqtt: { port: mqttPort } },
      auth: { jwks: { keys: [key.publicKey as Record<string, unknown> & { kty: string }] } },
      ...{ autoCreateTopics: true, allowPrivateSinks: true },
    };
    const file = join(dir, "runtime.yaml");
    await writeFile(file, JSON.stringify(config));
    const command = [meshBin, "run", "runtime", "--config", file, "--log-level", "warn"];
    const runtime = new MeshProcess("cn-east", command, join(dir, "runtime.log"));
    open.push({ close: () => runtime.kill() });
    await runtime.start();
    const json = async (path: string, body?: object): Promise<unknown> => {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const post = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers, ...post });
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return response.json();
    };
    return { runtime, json, door: { port, mqttPort, token } };
  };

  it("loses nothing that it acknowledged, gives nothing out twice, and keeps its books", async (context) => {
    const room = await sharedPulsar(context);
    const { runtime, json, door } = await started(pulsarStoreConfig(room));
    const sink = new StormSink("the sink", seededChance(seed));
    const url = await sink.start();
    open.push({ close: () => sink.stop() });
    const delivery = { maxAttempts: 200, backoff: { initialMs: 50, maxMs: 500 } };
    await json("/v1/subscriptions", { topic, sink: url, protocol: "HTTP", delivery });
    const journal = new StormJournal();
    const publishers = modes.map((mode) => {
      const setting = { name: mode, mode, topic, isViaEdge: false, keyCount: 6, pauseMs: 10 };
      return new StormPublisher(setting, door, journal);
    });
    for (const publisher of publishers) publisher.start();
    const chance = seededChance(seed);
    for (let kill = 0; kill < killCount; kill += 1) {
      await pause(500 + 1_500 * chance.float());
      await runtime.kill();
      await runtime.start();
    }
    await pause(1_000);
    await Promise.all(publishers.map((publisher) => publisher.stop()));
    sink.isFailing = false;
    type Books = { difference: number; subscriptions: { pending: number }[] };
    const books = async (): Promise<Books> => (await json("/v1/ledger")) as Books;
    await until(async () => (await books()).subscriptions[0]?.pending === 0);
    const ids: string[] = [];
    for (let after = "earliest"; ;) {
      const path = `/v1/topics/${topic}/events?after=${after}&limit=1000`;
      const page = (await json(path)) as { events: { id: string }[]; next: string };
      if (page.events.length === 0) break;
      ids.push(...page.events.map(({ id }) => id));
      after = page.next;
    }
    const faults = [
      ...[...journal.refusals, ...runtime.crashes],
      ...storeFaults(topic, ids, journal.of(topic)),
      ...sinkFaults(sink, journal.of(topic)),
    ];
    expect(faults.slice(0, 20)).toEqual([]);
    const resent = [...journal.sent.values()].filter(({ sendings }) => sendings > 1);
    expect(resent.length).toBeGreaterThan(0);
    expect(ids.length).toBeGreaterThan(30);
    expect(await books()).toMatchObject({ difference: 0 });
    process.stdout.write(
      `killed ${killCount} times: ${ids.length} events, ${resent.length} resent\n`,
    );
  });
});
