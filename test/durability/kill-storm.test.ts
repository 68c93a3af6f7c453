import { seededChance, type Chance } from "@fleetmesh/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isSettled, ledgerFaults, readLedgers } from "./ledger-check.ts";
import { MeshProcesses, pause, processNames, type ProcessName } from "./mesh-processes.ts";
import { figures, sinkFaults, storedIds, storeFaults } from "./storm-audit.ts";
import { StormJournal } from "./storm-journal.ts";
import { StormPublisher, type Mode } from "./storm-publishers.ts";
import { StormSink } from "./storm-sink.ts";

// STORM_SEED=n repeats a storm as far as real processes can: the same blows, at the same intervals, at the same processes.
const seed = Number(process.env["STORM_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const killCount = Number(process.env["STORM_KILLS"] ?? 28);
const modes: readonly Mode[] = ["binary", "structured", "batch", "mqtt"];
const eastTopic = "storm.east";
const westTopic = "storm.west";

describe(`storm of SIGKILL and SIGSTOP, STORM_SEED=${seed}`, () => {
  let mesh: MeshProcesses;
  let sinks: { readonly west: StormSink; readonly east: StormSink; readonly back: StormSink };
  const journal = new StormJournal();

  beforeAll(async () => {
    mesh = await MeshProcesses.create();
    sinks = {
      west: new StormSink("cn-west's sink", seededChance(seed + 1)),
      east: new StormSink("cn-east's sink", seededChance(seed + 2)),
      back: new StormSink("cn-east's sink of cn-west", seededChance(seed + 3)),
    };
    await mesh.start();
    await subscribe(2, eastTopic, await sinks.west.start());
    await subscribe(1, eastTopic, await sinks.east.start());
    await subscribe(1, westTopic, await sinks.back.start());
  }, 120_000);

  afterAll(async () => {
    await mesh.close();
    await Promise.all(Object.values(sinks).map((sink) => sink.stop()));
  });

  function subscribe(region: 1 | 2, topic: string, sink: string): Promise<unknown> {
    const delivery = { maxAttempts: 200, backoff: { initialMs: 50, maxMs: 1_000 } };
    return mesh.json(region, "/v1/subscriptions", { topic, sink, protocol: "HTTP", delivery });
  }

  function publishers(): StormPublisher[] {
    const { token } = mesh;
    const edge = { port: mesh.port(20), mqttPort: mesh.port(21), token };
    const east = { port: mesh.port(1), mqttPort: mesh.port(11), token };
    const west = { port: mesh.port(2), mqttPort: mesh.port(12), token };
    const steady = { keyCount: 4, pauseMs: 150 };
    return modes.flatMap((mode) => {
      const setting = { mode, ...steady };
      const at = (place: string) => ({ ...setting, name: `${place}-${mode}` });
      return [
        new StormPublisher({ ...at("edge"), topic: eastTopic, isViaEdge: true }, edge, journal),
        new StormPublisher({ ...at("east"), topic: eastTopic, isViaEdge: false }, east, journal),
        new StormPublisher({ ...at("west"), topic: westTopic, isViaEdge: false }, west, journal),
      ];
    });
  }

  it("loses nothing that was acknowledged, stores it once, keeps its order and its books", async () => {
    const publishing = publishers();
    for (const publisher of publishing) publisher.start();
    const [startMs, blows] = [Date.now(), await new Storm(mesh, seededChance(seed)).run(killCount)];
    const stormMs = Date.now() - startMs;
    await Promise.all(publishing.map((publisher) => publisher.stop()));
    const acknowledgedMs = Date.now() - startMs - stormMs;
    for (const sink of Object.values(sinks)) sink.isFailing = false;
    await settled();
    const times = { stormMs, acknowledgedMs, restMs: Date.now() - startMs - stormMs };
    const faults = await audit();
    const said = { seed, ...blows, ...times, ...(await summary()) };
    process.stdout.write(`storm ${JSON.stringify(said)}\n`);
    if (faults.length > 0) process.stderr.write(await mesh.logs());
    expect(faults.slice(0, 20)).toEqual([]);
  });

  /** At rest, three times in a row; the test's own time-out is the bound. */
  async function settled(): Promise<void> {
    const deadline = Date.now() + 150_000;
    for (let calm = 0; calm < 3;) {
      const ledgers = await readLedgers(mesh);
      calm = isSettled(ledgers, [eastTopic, westTopic]) ? calm + 1 : 0;
      await pause(300);
      if (Date.now() < deadline) continue;
      process.stderr.write(`${JSON.stringify(ledgers)}\n${await mesh.logs()}`);
      throw new Error("The mesh does not come to rest");
    }
  }

  async function audit(): Promise<string[]> {
    const faults = [...journal.refusals, ...mesh.all.flatMap(({ crashes }) => crashes)];
    for (const topic of [eastTopic, westTopic]) {
      for (const [region, name] of [
        [1, "cn-east"],
        [2, "cn-west"],
      ] as const) {
        const ids = await storedIds(mesh, region, topic);
        faults.push(...storeFaults(`${name} ${topic}`, ids, journal.of(topic)));
      }
    }
    faults.push(...sinkFaults(sinks.west, journal.of(eastTopic)));
    faults.push(...sinkFaults(sinks.east, journal.of(eastTopic)));
    faults.push(...sinkFaults(sinks.back, journal.of(westTopic)));
    faults.push(...ledgerFaults(await readLedgers(mesh)));
    const unacknowledged = [...journal.sent.values()].filter((sent) => !sent.isAcknowledged);
    return [...faults, ...unacknowledged.map(({ id }) => `${id} was never acknowledged`)];
  }

  async function summary(): Promise<Record<string, number>> {
    const deliveries = Object.values(sinks).reduce((sum, sink) => sum + sink.deliveries, 0);
    const events = Object.values(sinks).reduce((sum, sink) => sum + sink.first.length, 0);
    const counts = figures(journal, await storedIds(mesh, 1, eastTopic));
    return { ...counts, deliveries, repeats: deliveries - events };
  }
});

/** Blows at random processes, decided by the seed alone. */
class Storm {
  readonly #mesh: MeshProcesses;
  readonly #chance: Chance;
  readonly #freezes: Promise<void>[] = [];

  constructor(mesh: MeshProcesses, chance: Chance) {
    this.#mesh = mesh;
    this.#chance = chance;
  }

  async run(kills: number): Promise<Record<string, number>> {
    const count = { kills: 0, freezes: 0 };
    while (count.kills < kills) {
      await pause(200 + this.#chance.float() * 4_300);
      if (this.#chance.float() < 0.2) {
        const freezing = this.#mesh.process(this.#pick());
        this.#freezes.push(freezing.freeze(1_000 + this.#chance.float() * 4_000));
        count.freezes += 1;
        continue;
      }
      // Now and then two at once.
      const victims = new Set([
        this.#pick(),
        ...(this.#chance.float() < 0.2 ? [this.#pick()] : []),
      ]);
      await Promise.all([...victims].map((name) => this.#mesh.process(name).kill()));
      for (const name of victims) void this.#mesh.process(name).start();
      count.kills += victims.size;
    }
    await Promise.all(this.#freezes);
    await Promise.all(this.#mesh.all.map((each) => each.whenReady()));
    return count;
  }

  #pick(): ProcessName {
    return processNames[Math.floor(this.#chance.float() * processNames.length)] ?? "cn-east";
  }
}
