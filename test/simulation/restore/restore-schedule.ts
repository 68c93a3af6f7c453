import { eventClasses, seededChance, SimulatedClock } from "@fleetmesh/core";
import { BrokerFront } from "../path/broker-front.ts";
import { Draw } from "../path/draw.ts";
import { storedEvents } from "../path/invariants.ts";
import { SimulatedRuntime } from "../path/simulated-runtime.ts";
import { Trace } from "../path/trace.ts";
import { whileTimePasses } from "../path/while-time-passes.ts";
import { noFaults } from "../../../edge-agent/src/uplink/memory-link.ts";
import type { StoredEvent } from "../../../cloud-runtime/src/store/event-store.ts";
import { RestoredAgent, type Image } from "./restored-agent.ts";

const healMsMax = 300_000;

/**
 * One seeded run of an agent whose disk is put back to older images of itself, with the real ingress: nothing that the door
 * acknowledged in the life that the disk remembers may be missing at the region, whatever another life sent under its numbers.
 */
export class RestoreSchedule {
  readonly trace: Trace;
  readonly #draw: Draw;
  readonly #clock = new SimulatedClock();
  readonly #runtime: SimulatedRuntime;
  readonly #agent: RestoredAgent;
  readonly #images: Image[] = [];
  readonly #mayEvict: boolean;
  #restores = 0;

  constructor(seed: number) {
    const [draw, clock] = [new Draw(seededChance(seed)), this.#clock];
    const trace = new Trace(clock);
    [this.trace, this.#draw] = [trace, draw];
    const front = new BrokerFront({ clock, draw, trace });
    this.#mayEvict = draw.hit(0.2);
    const limits = this.#mayEvict
      ? ({ bytesMax: 6_000, whenFull: "evict-lowest-class" } as const)
      : ({ bytesMax: 1_000_000, whenFull: "reject" } as const);
    this.#runtime = new SimulatedRuntime({
      clock,
      draw,
      trace,
      front,
      commitMs: draw.oneOf([3, 40, 250]),
      retention: { retentionMs: 1e12, retentionBytes: 2 ** 40 },
      subscriptions: [],
      onViolation: (what) => trace.note("region", what),
    });
    this.#agent = new RestoredAgent({ clock, draw, trace, front, limits });
  }

  async run(): Promise<void> {
    await this.#runtime.start();
    await this.#agent.start();
    this.#spoil();
    const steps = 8 + this.#draw.below(25);
    for (let step = 0; step < steps; step += 1) {
      await this.#step();
      await this.#clock.advance(this.#draw.below(4_000, 3));
    }
    await this.#heal();
    await this.#check();
    await whileTimePasses(this.#clock, "the agent's end", this.#agent.stop());
    await this.#runtime.stop();
  }

  async #step(): Promise<void> {
    const draw = this.#draw;
    const what = draw.chance.float();
    if (what < 0.52) this.#agent.publish(1 + draw.below(12, 2));
    else if (what < 0.57) await this.#crash(undefined);
    else if (what < 0.63) await this.#crashRegion();
    else if (what < 0.66) this.#agent.link.cut("cut");
    else if (what < 0.72) this.#agent.link.isDown = !this.#agent.link.isDown;
    else if (what < 0.75)
      this.#runtime.store.setFault(draw.oneOf(["disk full", undefined, undefined]));
    else if (what < 0.87) this.#images.push(this.#agent.image());
    else if (what < 0.97) await this.#crash(draw.oneOf([undefined, ...this.#images]));
    else this.#spoil();
  }

  async #crash(image: Image | undefined): Promise<void> {
    await whileTimePasses(this.#clock, "the end of an agent's process", this.#agent.crash());
    await this.#clock.advance(this.#draw.below(2_000, 2));
    if (image !== undefined) {
      this.#restores += 1;
      this.#agent.restore(image);
      // Often out of reach at first: the numbers are used again before the region can say so.
      if (this.#draw.hit(0.5)) this.#agent.link.isDown = true;
    }
    await this.#agent.restart();
  }

  async #crashRegion(): Promise<void> {
    await this.#runtime.crash(this.#draw.oneOf(["nothing", "unanswered"] as const));
    await this.#clock.advance(this.#draw.below(2_000, 2));
    await this.#runtime.start();
  }

  #spoil(): void {
    const draw = this.#draw;
    this.#agent.link.faults = {
      delayMsMin: 1,
      delayMsMax: 1 + draw.rate(300),
      refuse: draw.rate(0.5),
      disconnect: draw.rate(0.2),
      halfOpen: draw.rate(0.1),
      loseAck: draw.rate(0.5),
      duplicate: draw.rate(0.3),
      lateMsMax: draw.rate(3_000),
    };
    this.trace.note("schedule", "other faults of the link");
  }

  async #heal(): Promise<void> {
    this.trace.note("schedule", "all faults end");
    this.#agent.link.faults = noFaults;
    this.#agent.link.isDown = false;
    this.#runtime.store.setFault(undefined);
    for (let spentMs = 0; spentMs < healMsMax; spentMs += 2_000) {
      await this.#clock.advance(2_000);
      if (await this.#isAtRest()) return;
    }
    throw new Error("Not at rest");
  }

  async #isAtRest(): Promise<boolean> {
    const { classes } = await this.#agent.buffer.stats();
    return eventClasses.every(
      (name) => classes[name].confirmed.sequence === classes[name].produced,
    );
  }

  async #check(): Promise<void> {
    const stored = await storedEvents(this.#runtime.store);
    const contents = new Set(stored.map(textOf));
    const numberCount = assertNumberedOnce(stored);
    assertNoSharedId(stored);
    const { evicted } = (await this.#runtime.store.events.ledger()).gaps;
    const { owed, renewals, droppedGapEvents } = this.#agent;
    const missing = [...owed].filter((text) => !contents.has(text));
    if (missing.length > evicted + droppedGapEvents)
      throw new Error(`Acknowledged and neither stored nor evicted: ${missing.join(", ")}`);
    if (this.#restores > 0) return;
    if (renewals > 0) throw new Error("A buffer that is no copy took a new epoch");
    if (numberCount !== contents.size) throw new Error("An event was stored twice");
  }
}

function textOf({ entry }: StoredEvent): string {
  return Buffer.from(entry.event.data ?? [])
    .toString()
    .trim();
}

function assertNumberedOnce(stored: readonly StoredEvent[]): number {
  const numbers = new Set<string>();
  for (const { origin, entry } of stored) {
    const number = `${origin.epoch ?? ""} ${origin.eventClass ?? ""} ${entry.sequence}`;
    if (numbers.has(number)) throw new Error(`${number} is stored twice`);
    numbers.add(number);
  }
  return numbers.size;
}

/** Whoever drops what he has by its id would lose the second. */
function assertNoSharedId(stored: readonly StoredEvent[]): void {
  const byId = new Map<string, string>();
  for (const event of stored) {
    const { id } = event.entry.event;
    const [known, text] = [byId.get(id), textOf(event)];
    if (known !== undefined && known !== text)
      throw new Error(`${id} names two events: "${known}" and "${text}"`);
    byId.set(id, text);
  }
}
