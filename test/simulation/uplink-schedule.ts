import { deserialize, serialize } from "node:v8";
import {
  createLogger,
  emptyWatermark,
  eventClasses,
  noExtensions,
  seededChance,
  SimulatedClock,
  type Chance,
  type Clock,
  type EventClass,
  type WireMessage,
} from "@fleetmesh/core";
import { MemoryBuffer } from "../../edge-agent/src/buffer/memory-buffer.ts";
import { MemoryLink, noFaults } from "../../edge-agent/src/uplink/memory-link.ts";
import { silentObserver } from "../../edge-agent/src/uplink/uplink-counts.ts";
import { uplinkLimitsDefault } from "../../edge-agent/src/uplink/uplink-limits.ts";
import { Uplink } from "../../edge-agent/src/uplink/uplink.ts";
import { mapClasses, plainWatermark } from "./plain-watermark.ts";
import { SimulatedRegion } from "./simulated-region.ts";

const agentId = "vehicle-1";
const topicOf = (eventClass: EventClass): string => `test.${eventClass}`;
const healMsMax = 300_000;

/**
 * One seeded run of agent and region: appends, faults of the link, crashes of both ends, jumps of the clock; then all is
 * healed and the books are checked. Throws what does not hold.
 */
export class UplinkSchedule {
  readonly #chance: Chance;
  readonly #clock = new SimulatedClock();
  readonly #logger = createLogger({ part: "simulation", level: "silent" });
  readonly #buffer: MemoryBuffer;
  readonly #region: SimulatedRegion;
  readonly #link: MemoryLink;
  readonly #acknowledged = new Map<EventClass, Set<string>>();
  readonly #attempted = new Map<EventClass, number>();
  readonly #appends = new Set<Promise<void>>();
  #uplink: Uplink;

  constructor(seed: number) {
    const chance = seededChance(seed);
    this.#chance = chance;
    const clock = this.#clock;
    const bytesMax = this.#oneOf([3_000, 20_000, 1_000_000]);
    const whenFull = this.#oneOf(["reject", "evict-lowest-class"] as const);
    const limits = { bytesMax, whenFull, ttlMs: this.#oneOf([{}, { bulk: 20_000 }]) };
    this.#buffer = new MemoryBuffer({ agentId, limits, clock, chance, commitMs: 2 });
    const isRejecting = chance.float() < 0.2;
    // Only the vehicle's clock jumps: the region's retention goes by its own.
    const startMs = clock.wallMs();
    const regionClock: Clock = {
      wallMs: () => startMs + clock.monotonicMs(),
      monotonicMs: () => clock.monotonicMs(),
      setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
    };
    this.#region = new SimulatedRegion(regionClock, {
      decode: (bytes) => deserialize(bytes) as WireMessage,
      rejects: (sequence) => isRejecting && sequence % 7 === 0,
    });
    this.#link = new MemoryLink({ region: this.#region, clock, chance, keepaliveMs: 4_000 });
    this.#uplink = this.#newUplink();
  }

  async run(): Promise<void> {
    await this.#buffer.start();
    await this.#region.start();
    await this.#uplink.start();
    this.#spoil();
    const steps = 6 + Math.floor(this.#chance.float() * 20);
    for (let step = 0; step < steps; step += 1) {
      await this.#step();
      await this.#clock.advance(Math.floor(this.#chance.float() ** 3 * 4_000));
    }
    await this.#heal();
    await this.#check();
    await this.#finish();
  }

  async #step(): Promise<void> {
    const what = this.#chance.float();
    if (what < 0.7) this.#append();
    else if (what < 0.76) await this.#crashAgent();
    else if (what < 0.82) await this.#crashRegion();
    else if (what < 0.86) this.#link.cut("cut");
    else if (what < 0.9) this.#clock.jumpWall((this.#chance.float() - 0.5) * 1e12);
    else if (what < 0.94) this.#region.store.setFault(this.#oneOf(["disk full", undefined]));
    else if (what < 0.97) this.#link.isDown = !this.#link.isDown;
    else this.#spoil();
  }

  #spoil(): void {
    const rate = (max: number): number =>
      this.#chance.float() < 0.5 ? 0 : this.#chance.float() * max;
    this.#link.faults = {
      delayMsMin: 1,
      delayMsMax: 1 + rate(300),
      refuse: rate(0.5),
      disconnect: rate(0.2),
      halfOpen: rate(0.1),
      loseAck: rate(0.5),
      duplicate: rate(0.3),
      lateMsMax: rate(3_000),
    };
  }

  #append(): void {
    const eventClass = this.#oneOf(eventClasses);
    const count = 1 + Math.floor(this.#chance.float() ** 2 * 12);
    const first = this.#attempted.get(eventClass) ?? 0;
    this.#attempted.set(eventClass, first + count);
    const ids = Array.from({ length: count }, (_, at) => String(first + at));
    const appended = this.#buffer.append(ids.map((id) => this.#item(eventClass, id))).then(
      () => {
        const known = this.#acknowledged.get(eventClass) ?? new Set();
        for (const id of ids) known.add(id);
        this.#acknowledged.set(eventClass, known);
      },
      () => undefined,
    );
    this.#appends.add(appended);
  }

  #item(eventClass: EventClass, id: string): Parameters<MemoryBuffer["append"]>[0][number] {
    const data = Buffer.alloc(Math.floor(this.#chance.float() * 200), 120);
    return {
      eventClass,
      expiresMs: undefined,
      entry: {
        topic: topicOf(eventClass),
        receivedMs: this.#clock.wallMs(),
        event: {
          id,
          source: "/test",
          type: "test",
          subject: undefined,
          time: undefined,
          datacontenttype: undefined,
          dataschema: undefined,
          extensions: noExtensions,
          data,
          dataKind: "text",
        },
      },
    };
  }

  async #crashAgent(): Promise<void> {
    this.#buffer.crash();
    this.#link.cut("the agent crashed");
    await this.#uplink.stop(AbortSignal.abort());
    await this.#buffer.start();
    this.#uplink = this.#newUplink();
    await this.#uplink.start();
  }

  async #crashRegion(): Promise<void> {
    this.#region.store.crash(this.#oneOf(["nothing", "unanswered"] as const));
    this.#link.cut("the region crashed");
    this.#link.isDown = true;
    await this.#clock.advance(Math.floor(this.#chance.float() * 2_000));
    await this.#region.restart();
    this.#link.isDown = false;
  }

  /** A small window and small batches, so that few events make many schedules. */
  #newUplink(): Uplink {
    const limits = {
      ...uplinkLimitsDefault,
      batchEventsMax: 5,
      batchBytesMax: 1_000,
      windowBatchesMax: 6,
      takenTimeoutMs: 5_000,
      ackTimeoutMs: 3_000,
      reconnect: { initialMs: 100, maxMs: 2_000 },
      refusedRetry: { initialMs: 100, maxMs: 2_000 },
    };
    const source = { current: this.#buffer, salvaged: [], onChanged: () => undefined };
    return new Uplink(source, limits, {
      link: this.#link,
      clock: this.#clock,
      chance: this.#chance,
      logger: this.#logger,
      observer: silentObserver,
      encode: serialize,
      onCommand: () => undefined,
      onRefused: () => undefined,
    });
  }

  async #heal(): Promise<void> {
    this.#link.faults = noFaults;
    this.#link.isDown = false;
    this.#region.store.setFault(undefined);
    for (let spentMs = 0; spentMs < healMsMax; spentMs += 2_000) {
      await this.#clock.advance(2_000);
      if (await this.#isAtRest()) break;
    }
    await this.#clock.advance(4_000); // What was late arrives too.
    await Promise.all(this.#appends);
  }

  async #isAtRest(): Promise<boolean> {
    const { classes } = await this.#buffer.stats();
    return eventClasses.every(
      (name) => classes[name].confirmed.sequence === classes[name].produced,
    );
  }

  async #check(): Promise<void> {
    const { classes } = await this.#buffer.stats();
    const known = await this.#region.store.events.watermarks(agentId, this.#buffer.epoch);
    const watermarks = mapClasses(known, plainWatermark);
    for (const name of eventClasses) {
      const { produced, confirmed, queuedEvents } = classes[name];
      const region = watermarks[name] ?? emptyWatermark;
      const { sequence, stored, rejected, evicted, expired, damaged } = region;
      same(`${name}: the region has all that was produced`, sequence, produced);
      same(`${name}: the agent knows it`, confirmed, region);
      same(`${name}: nothing is queued at rest`, queuedEvents, 0);
      same(`${name}: the ledger`, produced - stored - rejected - evicted - expired - damaged, 0);
      same(`${name}: nothing is lost in transit`, damaged, 0);
      await this.#checkStored(name, region);
    }
  }

  async #checkStored(name: EventClass, region: typeof emptyWatermark): Promise<void> {
    const limit = { countMax: 100_000, bytesMax: 1e9 };
    const page = await this.#region.store.events.read(topicOf(name), "earliest", limit);
    const ids = page.events.map(({ entry }) => Number(entry.event.id));
    const acknowledged = this.#acknowledged.get(name) ?? new Set<string>();
    same(`${name}: stored once each`, new Set(ids).size, ids.length);
    same(`${name}: stored as counted`, ids.length, region.stored);
    same(
      `${name}: in order`,
      ids,
      [...ids].sort((left, right) => left - right),
    );
    same(
      `${name}: only what was appended`,
      ids.every((id) => acknowledged.has(String(id))),
      true,
    );
    const gone = region.rejected + region.evicted + region.expired;
    same(`${name}: all acknowledged are stored or counted`, ids.length + gone, acknowledged.size);
  }

  async #finish(): Promise<void> {
    const stopped = this.#uplink.stop(AbortSignal.abort());
    await this.#clock.advance(10);
    await stopped;
  }

  #oneOf<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.#chance.float() * items.length)] as Item;
  }
}

function same(what: string, given: unknown, wanted: unknown): void {
  const [left, right] = [JSON.stringify(given), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${what}: ${left}, wanted ${right}`);
}
