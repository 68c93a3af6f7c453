import {
  agentMadeId,
  createLogger,
  encodeWire,
  noExtensions,
  type EventClass,
  type MeshEvent,
  type SimulatedClock,
} from "@fleetmesh/core";
import type { Principal } from "@fleetmesh/door";
import { EdgeIntake } from "../../../edge-agent/src/agent/edge-intake.ts";
import { SingleBuffer } from "../../../edge-agent/src/agent/single-buffer.ts";
import type { BufferLimits } from "../../../edge-agent/src/buffer/buffer-options.ts";
import { MemoryBuffer } from "../../../edge-agent/src/buffer/memory-buffer.ts";
import { MemoryLink, noFaults } from "../../../edge-agent/src/uplink/memory-link.ts";
import { uplinkLimitsDefault } from "../../../edge-agent/src/uplink/uplink-limits.ts";
import { Uplink } from "../../../edge-agent/src/uplink/uplink.ts";
import type { BrokerFront } from "./broker-front.ts";
import type { Draw } from "./draw.ts";
import { OwnWallClock } from "./own-wall-clock.ts";
import type { Trace } from "./trace.ts";

export const forbiddenTopic = "fleet.forbidden";
const topics = ["fleet.alarm", "fleet.status", "fleet.raw", forbiddenTopic] as const;
const keyCount = 4;
const logger = createLogger({ part: "simulation", level: "silent" });

/** A small window and small batches, so that few events make many schedules. */
const uplinkLimits = {
  ...uplinkLimitsDefault,
  batchEventsMax: 5,
  batchBytesMax: 1_000,
  windowBatchesMax: 6,
  takenTimeoutMs: 5_000,
  ackTimeoutMs: 3_000,
  reconnect: { initialMs: 100, maxMs: 2_000 },
  refusedRetry: { initialMs: 100, maxMs: 2_000 },
};

/** An event that the agent's door acknowledged; its place in the list of its class is its sequence less one. */
export interface Acknowledged {
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  /** It carries a time of expiry of its own. */
  readonly isMortal: boolean;
}

export interface AgentWorld {
  readonly clock: SimulatedClock;
  readonly draw: Draw;
  readonly trace: Trace;
  readonly front: BrokerFront;
  /** Some events come without an id and get the one that the agent makes. */
  readonly hasNamelessEvents: boolean;
}

export interface AgentIdentity {
  /** For people; a clone shares the agent id, not the name. */
  readonly name: string;
  readonly agentId: string;
  readonly limits: BufferLimits;
}

type Produced = Readonly<Record<EventClass, Acknowledged[]>>;

/** One agent: the real intake and uplink over the buffer and the link in memory, and what its door acknowledged. */
export class SimulatedAgent {
  readonly identity: AgentIdentity;
  readonly buffer: MemoryBuffer;
  readonly link: MemoryLink;
  readonly wall: OwnWallClock;
  readonly produced: Produced;
  /** Codes of the refusals that the region gave this epoch. */
  readonly refusals: string[] = [];
  readonly #world: AgentWorld;
  readonly #publishing = new Set<Promise<void>>();
  #attempted = 0;
  #intake: EdgeIntake;
  #uplink: Uplink;

  constructor(world: AgentWorld, identity: AgentIdentity, original?: SimulatedAgent) {
    const { clock, draw, front } = world;
    const { chance } = draw;
    this.#world = world;
    this.identity = identity;
    this.wall = new OwnWallClock(clock);
    const { agentId, limits } = identity;
    this.buffer =
      original?.buffer.copy() ?? new MemoryBuffer({ agentId, limits, clock, chance, commitMs: 2 });
    const kept = original?.produced;
    this.produced = {
      critical: [...(kept?.critical ?? [])],
      normal: [...(kept?.normal ?? [])],
      bulk: [...(kept?.bulk ?? [])],
    };
    const region = front.regionOf(agentId, principalOf(agentId));
    this.link = new MemoryLink({ region, clock, chance, keepaliveMs: 4_000 });
    this.#uplink = this.#newUplink();
    this.#intake = this.#newIntake();
  }

  async start(): Promise<void> {
    await this.buffer.start();
    await this.#uplink.start();
  }

  /** Publishes some events of one topic at once, as a batch at the door: all of them are acknowledged or none. */
  publish(count: number): void {
    const { draw, trace } = this.#world;
    const topic = draw.hit(0.06) ? forbiddenTopic : draw.oneOf(topics.slice(0, 3));
    const events = Array.from({ length: count }, () => this.#event());
    const taken = this.#intake.take({ topic, events }).then(
      () => this.#acknowledge(topic, events),
      (error: unknown) => trace.note(this.identity.name, `its door refuses: ${String(error)}`),
    );
    this.#publishing.add(taken);
    void taken.finally(() => this.#publishing.delete(taken));
  }

  /** The power goes; what was not durable is gone. */
  async crash(): Promise<void> {
    this.#world.trace.note(this.identity.name, "crashes");
    this.buffer.crash();
    this.link.cut("the agent crashed");
    await this.#uplink.stop(AbortSignal.abort());
  }

  async restart(): Promise<void> {
    this.#uplink = this.#newUplink();
    this.#intake = this.#newIntake();
    await this.start();
  }

  heal(): void {
    this.link.faults = noFaults;
    this.link.isDown = false;
  }

  async stop(): Promise<void> {
    await this.#uplink.stop(AbortSignal.abort());
  }

  async settled(): Promise<void> {
    await Promise.all(this.#publishing);
  }

  #acknowledge(topic: string, events: readonly MeshEvent[]): void {
    const eventClass = classOf(topic);
    const list = this.produced[eventClass];
    const { trace } = this.#world;
    const first = list.length + 1;
    for (const { id, subject = "", type, extensions } of events) {
      const finalId = id === "" ? agentMadeId(this.buffer.epoch, eventClass, list.length + 1) : id;
      list.push({ id: finalId, topic, key: subject, type, isMortal: extensions.length > 0 });
    }
    trace.note(
      this.identity.name,
      `acknowledges ${eventClass} ${first}–${list.length} of ${topic}`,
    );
  }

  #event(): MeshEvent {
    const { draw, hasNamelessEvents } = this.#world;
    this.#attempted += 1;
    const isNameless = hasNamelessEvents && draw.hit(0.2);
    const isMortal = draw.hit(0.08);
    const expiresMs = this.#world.clock.wallMs() + draw.below(60_000);
    return {
      id: isNameless ? "" : `${this.identity.name}-${this.#attempted}`,
      source: `/${this.identity.agentId}`,
      type: draw.hit(0.5) ? "odd" : "even",
      subject: `k${draw.below(keyCount)}`,
      time: undefined,
      datacontenttype: undefined,
      dataschema: undefined,
      extensions: isMortal ? [["expirytime", new Date(expiresMs).toISOString()]] : noExtensions,
      data: Buffer.alloc(draw.below(200), 120),
      dataKind: "text",
    };
  }

  #newIntake(): EdgeIntake {
    const buffers = { current: this.buffer };
    const wallMs = () => this.#uplink.cloudNowMs() ?? this.wall.wallMs();
    return new EdgeIntake({ buffers, classOf, wallMs });
  }

  #newUplink(): Uplink {
    const { draw, trace } = this.#world;
    const { name } = this.identity;
    return new Uplink(new SingleBuffer(this.buffer), uplinkLimits, {
      link: this.link,
      clock: this.wall,
      chance: draw.chance,
      logger,
      observer: {
        sent: () => undefined,
        count: (what, by) => trace.note(name, `${what} +${by}`),
      },
      encode: (message, effort) => encodeWire(message, { effort }),
      onCommand: () => undefined,
      onRefused: (_, { code }) => void this.refusals.push(code),
    });
  }
}

function classOf(topic: string): EventClass {
  if (topic === "fleet.alarm") return "critical";
  return topic === "fleet.raw" ? "bulk" : "normal";
}

function principalOf(agentId: string): Principal {
  return {
    name: agentId,
    agentId,
    mayPublish: (topic) => topic !== forbiddenTopic,
    maySubscribe: () => false,
    isOperator: false,
    isRegionLink: false,
    expiresMs: Infinity,
  };
}
