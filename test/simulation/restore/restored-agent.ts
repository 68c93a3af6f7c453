import {
  catalogue,
  createLogger,
  encodeWire,
  eventClasses,
  noExtensions,
  type EventClass,
  type SimulatedClock,
} from "@fleetmesh/core";
import type { EventBuffer } from "../../../edge-agent/src/buffer/buffer.ts";
import type { BufferLimits } from "../../../edge-agent/src/buffer/buffer-options.ts";
import {
  MemoryBuffer,
  type MemoryBufferOptions,
} from "../../../edge-agent/src/buffer/memory-buffer.ts";
import { MemoryLink } from "../../../edge-agent/src/uplink/memory-link.ts";
import { silentObserver } from "../../../edge-agent/src/uplink/uplink-counts.ts";
import { uplinkLimitsDefault } from "../../../edge-agent/src/uplink/uplink-limits.ts";
import { Uplink } from "../../../edge-agent/src/uplink/uplink.ts";
import type { BrokerFront } from "../path/broker-front.ts";
import type { Draw } from "../path/draw.ts";
import { OwnWallClock } from "../path/own-wall-clock.ts";
import type { Trace } from "../path/trace.ts";
import { renewedBuffer } from "./renewed-buffer.ts";

const agentId = "a1";
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

export interface RestoreWorld {
  readonly clock: SimulatedClock;
  readonly draw: Draw;
  readonly trace: Trace;
  readonly front: BrokerFront;
  readonly limits: BufferLimits;
}

/** A gateway's disk as it was at one moment, and the events of it, by their data, that its door had acknowledged. */
export interface Image {
  readonly buffer: MemoryBuffer;
  readonly owed: ReadonlySet<string>;
  readonly wallMs: number;
}

/** An agent whose buffer can be put back to what it was once, and who takes a new epoch when it finds so. */
export class RestoredAgent {
  readonly link: MemoryLink;
  readonly wall: OwnWallClock;
  buffer: MemoryBuffer;
  /** By their data: what the door acknowledged in the life that this buffer remembers. */
  owed = new Set<string>();
  renewals = 0;
  /** Evicted before a renewal, and not told to the region by it. */
  droppedGapEvents = 0;
  readonly #world: RestoreWorld;
  readonly #options: MemoryBufferOptions;
  readonly #listeners: (() => void)[] = [];
  #uplink: Uplink;
  #attempted = 0;
  #renewing: Promise<void> = Promise.resolve();

  constructor(world: RestoreWorld) {
    const { clock, draw, front, limits } = world;
    this.#world = world;
    this.wall = new OwnWallClock(clock);
    this.#options = { agentId, limits, clock, chance: draw.chance, commitMs: 2 };
    this.buffer = new MemoryBuffer(this.#options);
    const principal = {
      name: agentId,
      agentId,
      mayPublish: () => true,
      maySubscribe: () => false,
      isOperator: false,
      isRegionLink: false,
      expiresMs: Infinity,
    };
    const region = front.regionOf(agentId, principal);
    this.link = new MemoryLink({ region, clock, chance: draw.chance, keepaliveMs: 4_000 });
    this.#uplink = this.#newUplink();
  }

  async start(): Promise<void> {
    await this.buffer.start();
    await this.#uplink.start();
  }

  publish(count: number): void {
    const { draw, trace } = this.#world;
    const eventClass = draw.oneOf(eventClasses);
    const [owed, texts] = [this.owed, Array.from({ length: count }, () => this.#text())];
    const taken = this.buffer.append(texts.map((text) => this.#item(eventClass, text)));
    taken.then(
      () => {
        for (const text of texts) owed.add(text);
        trace.note(agentId, `acknowledges ${count} ${eventClass}, last ${texts.at(-1) ?? ""}`);
      },
      () => undefined,
    );
  }

  /** The power goes; what was not durable is gone. */
  async crash(): Promise<void> {
    this.#world.trace.note(agentId, "crashes");
    await this.#renewing;
    this.buffer.crash();
    this.link.cut("the agent crashed");
    await this.#uplink.stop(AbortSignal.abort());
  }

  async restart(): Promise<void> {
    this.#uplink = this.#newUplink();
    await this.start();
  }

  image(): Image {
    this.#world.trace.note(agentId, "is copied");
    return { buffer: this.buffer.copy(), owed: new Set(this.owed), wallMs: this.wall.wallMs() };
  }

  /** After a crash: the disk is what it was, and perhaps the clock too. */
  restore(image: Image): void {
    const { draw, trace } = this.#world;
    trace.note(agentId, "is restored");
    this.buffer = image.buffer.copy();
    this.owed = new Set(image.owed);
    if (draw.hit(0.5)) this.wall.jump(image.wallMs - this.wall.wallMs());
  }

  async stop(): Promise<void> {
    await this.#uplink.stop(AbortSignal.abort());
  }

  #text(): string {
    this.#attempted += 1;
    return `event ${this.#attempted}`;
  }

  #item(eventClass: EventClass, text: string): Parameters<MemoryBuffer["append"]>[0][number] {
    const { draw } = this.#world;
    return {
      eventClass,
      expiresMs: undefined,
      entry: {
        topic: `fleet.${eventClass}`,
        receivedMs: this.wall.wallMs(),
        event: {
          id: draw.hit(0.4) ? "" : text,
          source: "/a1",
          type: "t",
          subject: undefined,
          time: undefined,
          datacontenttype: undefined,
          dataschema: undefined,
          extensions: noExtensions,
          data: Buffer.from(text.padEnd(20 + draw.below(150))),
          dataKind: "text",
        },
      },
    };
  }

  #newUplink(): Uplink {
    const { draw } = this.#world;
    const current = (): EventBuffer => this.buffer;
    const source = {
      get current(): EventBuffer {
        return current();
      },
      salvaged: [],
      onChanged: (listener: () => void) => void this.#listeners.push(listener),
    };
    return new Uplink(source, uplinkLimits, {
      link: this.link,
      clock: this.wall,
      chance: draw.chance,
      logger,
      observer: silentObserver,
      encode: (message, effort) => encodeWire(message, { effort }),
      onCommand: () => undefined,
      onRefused: (buffer, { code }) => {
        if (code !== catalogue.AGENT_CLONED.code || buffer !== this.buffer) return;
        this.#renewing = this.#renewing.then(() => this.#renew(buffer));
      },
    });
  }

  async #renew(refused: EventBuffer): Promise<void> {
    if (refused !== this.buffer) return;
    this.#world.trace.note(agentId, "takes a new epoch");
    this.renewals += 1;
    const { buffer, gapEvents } = await renewedBuffer(this.buffer, this.#options);
    this.buffer = buffer;
    this.droppedGapEvents += gapEvents;
    for (const listener of this.#listeners) listener();
  }
}
