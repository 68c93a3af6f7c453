import { eventClasses, seededChance, SimulatedClock } from "@fleetmesh/core";
import type { MemoryStore } from "../../../cloud-runtime/src/store/memory-store.ts";
import { booksOf } from "../../../cloud-runtime/src/delivery/subscription-status.ts";
import type { BufferLimits } from "../../../edge-agent/src/buffer/buffer-options.ts";
import { BrokerFront } from "./broker-front.ts";
import { DeliveryInvariants } from "./delivery-invariants.ts";
import { Draw } from "./draw.ts";
import { IngestInvariants, type LostRange } from "./invariants.ts";
import { drawSubscriptions } from "./path-subscriptions.ts";
import { SimulatedAgent, type AgentWorld } from "./simulated-agent.ts";
import { SimulatedRuntime } from "./simulated-runtime.ts";
import { goodMood } from "./simulated-target.ts";
import { Trace } from "./trace.ts";
import { whileTimePasses } from "./while-time-passes.ts";

const healMsMax = 400_000;
const cloneMsMax = 90_000;

/**
 * One seeded run of agents, broker, region and targets, all real but for the ports: events, faults of every kind, then
 * healing, and the books. Throws what does not hold.
 */
export class PathSchedule {
  readonly trace: Trace;
  readonly #draw: Draw;
  readonly #clock = new SimulatedClock();
  readonly #world: AgentWorld;
  readonly #agents: SimulatedAgent[] = [];
  readonly #runtime: SimulatedRuntime;
  readonly #violations: string[] = [];
  readonly #lostRanges: LostRange[] = [];
  readonly #kind: "plain" | "clone" | "restore" | "trim";
  #clones: SimulatedAgent[] = [];
  #backup: MemoryStore | undefined;
  #isHealing = false;
  /** A region that starts with a clock days ahead takes what it has for old, and trims it. */
  #hasRegionJumpedFar = false;

  constructor(seed: number) {
    const [draw, clock] = [new Draw(seededChance(seed)), this.#clock];
    const trace = new Trace(clock);
    this.trace = trace;
    this.#draw = draw;
    const front = new BrokerFront({ clock, draw, trace });
    this.#kind = draw.oneOf([
      "plain",
      "plain",
      "plain",
      "plain",
      "plain",
      "clone",
      "restore",
      "restore",
      "trim",
    ]);
    const isTrimming = this.#kind === "trim";
    this.#runtime = new SimulatedRuntime({
      clock,
      draw,
      trace,
      front,
      commitMs: draw.oneOf([3, 3, 40, 250]),
      retention: { retentionMs: 7 * 24 * 3_600_000, retentionBytes: isTrimming ? 2_000 : 2 ** 40 },
      subscriptions: drawSubscriptions(draw),
      onViolation: (what) => this.#violations.push(what),
    });
    this.#world = { clock, draw, trace, front, hasNamelessEvents: this.#kind !== "clone" };
    const limits = this.#limits();
    const count = 1 + draw.below(3);
    for (let at = 1; at <= count; at += 1)
      this.#agents.push(
        new SimulatedAgent(this.#world, { name: `a${at}`, agentId: `a${at}`, limits }),
      );
    trace.note(
      "schedule",
      `seed ${seed}, ${this.#kind}, ${count} agents, ${JSON.stringify(limits)}`,
    );
  }

  async run(): Promise<void> {
    await this.#runtime.start();
    for (const agent of this.#agents) await agent.start();
    this.#spoil();
    const steps = 6 + this.#draw.below(18);
    for (let step = 0; step < steps; step += 1) {
      await this.#step();
      await this.#clock.advance(this.#draw.below(4_000, 3));
      this.#failOnViolation();
    }
    await this.#watchClones();
    await this.#heal();
    await this.#check();
    await this.#stop();
  }

  async #step(): Promise<void> {
    const draw = this.#draw;
    this.#isHealing = false;
    const what = draw.chance.float();
    if (what < 0.62) draw.oneOf(this.#agents).publish(this.#burst());
    else if (what < 0.68) await this.#crashAgent(draw.oneOf(this.#agents));
    else if (what < 0.76) await this.#crashRegion();
    else if (what < 0.79) this.#cutLink(draw.oneOf(this.#agents));
    else if (what < 0.84) this.#jump();
    else if (what < 0.88) this.#turnStore();
    else if (what < 0.9) this.#turnLink(draw.oneOf(this.#agents));
    else if (what < 0.95) this.#spoilTargets();
    else if (what < 0.96) await this.#reconfigure();
    else if (what < 0.965) this.#spoil();
    else if (what < 0.985) await this.#flurry(draw.oneOf(this.#agents));
    else await this.#special();
  }

  async #special(): Promise<void> {
    if (this.#kind === "clone" && this.#clones.length === 0) await this.#clone();
    if (this.#kind === "restore") this.#backUp();
  }

  /** Mostly a few; now and then enough for several batches in flight at once. */
  #burst(): number {
    return this.#draw.hit(0.12) ? 15 + this.#draw.below(25) : 1 + this.#draw.below(12, 2);
  }

  /** Few events at a time, close together, on a link that breaks between: what is sent again is cut into other batches. */
  async #flurry(agent: SimulatedAgent): Promise<void> {
    const draw = this.#draw;
    this.trace.note(agent.identity.name, "publishes in a flurry");
    for (let times = 4 + draw.below(6); times > 0; times -= 1) {
      agent.publish(1 + draw.below(2));
      await this.#clock.advance(draw.below(100));
      if (draw.hit(0.4)) this.#cutLink(agent);
    }
  }

  #limits(): BufferLimits {
    const draw = this.#draw;
    return {
      bytesMax: draw.oneOf([3_000, 20_000, 1_000_000]),
      whenFull: draw.oneOf(["reject", "evict-lowest-class"] as const),
      ttlMs: draw.oneOf([{}, {}, { bulk: 20_000 }]),
    };
  }

  #spoil(): void {
    const draw = this.#draw;
    for (const { link } of this.#agents)
      link.faults = {
        delayMsMin: 1,
        delayMsMax: 1 + draw.rate(300),
        refuse: draw.rate(0.5),
        disconnect: draw.rate(0.2),
        halfOpen: draw.rate(0.1),
        loseAck: draw.rate(0.5),
        duplicate: draw.rate(0.3),
        lateMsMax: draw.rate(draw.oneOf([60, 3_000])),
      };
    this.#world.front.lateNotice = draw.hit(0.3) ? 0.9 : draw.rate(0.3);
    this.trace.note("schedule", "other faults of the links");
    this.#spoilTargets();
    if (this.#kind === "restore" && this.#backup === undefined) this.#backUp();
  }

  #spoilTargets(): void {
    const draw = this.#draw;
    for (const target of this.#runtime.targets.values()) {
      target.mood = {
        latencyMsMax: 1 + draw.rate(draw.hit(0.2) ? 3_000 : 100),
        fail: draw.hit(0.05) ? 1 : draw.rate(0.5),
        hang: draw.rate(0.2),
        refuse: draw.rate(0.1),
        busy: draw.rate(0.2),
        gone: draw.hit(0.2) ? 0.05 : 0,
      };
      this.trace.note(target.subscription, `its mood: ${JSON.stringify(target.mood)}`);
    }
  }

  async #crashAgent(agent: SimulatedAgent): Promise<void> {
    await whileTimePasses(this.#clock, "the end of an agent's process", agent.crash());
    await this.#clock.advance(this.#draw.below(2_000, 2));
    await agent.restart();
  }

  async #crashRegion(): Promise<void> {
    const draw = this.#draw;
    await this.#runtime.crash(draw.oneOf(["nothing", "unanswered"] as const));
    await this.#clock.advance(draw.below(2_000, 2));
    if (this.#backup !== undefined && draw.hit(0.5)) await this.#restore(this.#backup);
    await this.#runtime.start();
  }

  #cutLink({ identity, link }: SimulatedAgent): void {
    this.trace.note(identity.name, "its link is cut");
    link.cut("cut");
  }

  #turnLink({ identity, link }: SimulatedAgent): void {
    link.isDown = !link.isDown;
    this.trace.note(identity.name, link.isDown ? "its link is down" : "its link is up");
  }

  #turnStore(): void {
    if (this.#draw.hit(0.4)) {
      this.#flicker(2 + this.#draw.below(40));
      return;
    }
    const fault = this.#draw.oneOf(["disk full", undefined]);
    this.trace.note("region", `its store: ${fault ?? "writes again"}`);
    this.#runtime.store.setFault(fault);
  }

  /** A disk that takes one commit and not the next: of batches in flight together, a later one may be the first that passes. */
  #flicker(times: number): void {
    const { store } = this.#runtime;
    const isOver = times <= 0 || this.#isHealing;
    store.setFault(isOver || times % 2 === 0 ? undefined : "disk stutters");
    if (isOver) return;
    this.#clock.setTimer(1 + this.#draw.below(60, 2), () => this.#flicker(times - 1));
  }

  #jump(): void {
    const draw = this.#draw;
    const byMs = (draw.chance.float() - 0.5) * draw.oneOf([1e4, 1e6, 1e12]);
    const agent = draw.oneOf([undefined, ...this.#agents]);
    this.trace.note(
      agent?.identity.name ?? "region",
      `its wall clock jumps by ${byMs.toFixed(0)} ms`,
    );
    (agent ?? this.#runtime).wall.jump(byMs);
    if (agent === undefined && byMs > 24 * 3_600_000) this.#hasRegionJumpedFar = true;
  }

  /** A change of a subscription has the dispatcher start it anew within the process. */
  async #reconfigure(): Promise<void> {
    const { metadata } = this.#runtime;
    const kept = this.#draw.oneOf(metadata.subscriptions());
    const delivery = { ...kept.delivery, windowMax: 1 + this.#draw.below(8) };
    this.trace.note(kept.id, `is changed: window ${delivery.windowMax}`);
    await metadata.putSubscription({ ...kept, delivery, revision: kept.revision + 1 });
  }

  /** Somebody copies a gateway's disk, and both go on. */
  async #clone(): Promise<void> {
    const original = this.#draw.oneOf(this.#agents);
    const { agentId, limits } = original.identity;
    const clone = new SimulatedAgent(
      this.#world,
      { name: `${agentId}x`, agentId, limits },
      original,
    );
    this.trace.note(clone.identity.name, `is a clone of ${agentId}`);
    this.#clones = [original, clone];
    this.#agents.push(clone);
    await clone.start();
  }

  #backUp(): void {
    this.trace.note("region", "is backed up");
    this.#backup = this.#runtime.store.backup();
  }

  async #restore(backup: MemoryStore): Promise<void> {
    const before = this.#runtime.store;
    const after = backup.backup();
    await Promise.all([before.events.start(), after.events.start()]);
    for (const agent of this.#agents) {
      const { buffer, identity } = agent;
      const had = await before.events.watermarks(identity.agentId, buffer.epoch);
      const has = await after.events.watermarks(identity.agentId, buffer.epoch);
      for (const eventClass of eventClasses) {
        const above = has[eventClass]?.sequence ?? 0;
        const upTo = had[eventClass]?.sequence ?? 0;
        if (upTo > above) this.#lostRanges.push({ agent, eventClass, above, upTo });
      }
    }
    before.crash();
    this.trace.note("region", "is restored from its backup");
    this.#runtime.restore(backup);
  }

  /** Two with one identity on a good network: the region must notice, and one of them must be told. */
  async #watchClones(): Promise<void> {
    if (this.#clones.length === 0) return;
    this.#healFaults();
    const isTold = () => this.#clones.some(({ refusals }) => refusals.length > 0);
    for (let spentMs = 0; spentMs < cloneMsMax && !isTold(); spentMs += 1_000)
      await this.#clock.advance(1_000);
    if (!isTold()) throw new Error("Two agents with one identity, and neither was refused");
    const [, clone] = this.#clones;
    this.trace.note("schedule", "the clone is taken away");
    if (clone !== undefined) await whileTimePasses(this.#clock, "the clone's end", clone.crash());
  }

  #healFaults(): void {
    this.trace.note("schedule", "all faults end");
    this.#isHealing = true;
    for (const agent of this.#agents) agent.heal();
    for (const target of this.#runtime.targets.values()) target.mood = goodMood;
    this.#world.front.lateNotice = 0;
    this.#runtime.store.setFault(undefined);
  }

  async #heal(): Promise<void> {
    this.#healFaults();
    let open = "not looked";
    for (let spentMs = 0; spentMs < healMsMax; spentMs += 2_000) {
      await this.#runtime.enableAll();
      await this.#clock.advance(2_000);
      this.#failOnViolation();
      open = await this.#open();
      if (open === "") break;
    }
    if (open !== "")
      throw new Error(`Not at rest ${healMsMax / 1_000} s after the last fault: ${open}`);
    await this.#clock.advance(6_000); // What was late arrives too, and the idle flush of cursors.
    for (const agent of this.#agents) await agent.settled();
    this.#failOnViolation();
  }

  /** What is not done yet, in words; empty = all is at rest. */
  async #open(): Promise<string> {
    for (const agent of this.#agents) {
      if (this.#clones.includes(agent)) continue;
      const { classes } = await agent.buffer.stats();
      for (const name of eventClasses) {
        const { confirmed, produced } = classes[name];
        if (confirmed.sequence < produced)
          return `${agent.identity.name} ${name}: ${confirmed.sequence} of ${produced} confirmed`;
      }
    }
    const { metadata, dispatcher, store } = this.#runtime;
    for (const subscription of metadata.subscriptions()) {
      const { pending } = await booksOf(dispatcher, store.events, subscription);
      if (pending > 0) return `${subscription.id}: ${pending} pending`;
    }
    return "";
  }

  async #check(): Promise<void> {
    const exempt = {
      clones: this.#clones,
      lostRanges: this.#lostRanges,
      isTrimming: this.#kind === "trim" || this.#hasRegionJumpedFar,
    };
    await new IngestInvariants(this.#runtime.store, exempt).check(this.#agents);
    await new DeliveryInvariants(this.#runtime, this.#agents, exempt).check();
  }

  #failOnViolation(): void {
    const [first] = this.#violations;
    if (first !== undefined) throw new Error(first);
  }

  async #stop(): Promise<void> {
    const stopping = Promise.all(this.#agents.map((agent) => agent.stop()));
    await whileTimePasses(this.#clock, "the agents' end", stopping);
    await this.#runtime.stop();
    this.#failOnViolation();
  }
}
