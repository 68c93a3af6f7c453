import { deserialize } from "node:v8";
import {
  emptyWatermark,
  type AgentAck,
  type ClassWatermark,
  type Clock,
  type EventClass,
  type WireBatch,
  type WireMessage,
} from "@fleetmesh/core";
import type { MemoryPeer, MemoryRegion } from "../src/uplink/memory-link.ts";

/** A region whose word a test writes: takes everything in sequence, and says what the test wants it to say. */
export class ScriptedRegion implements MemoryRegion {
  readonly batches: WireBatch[] = [];
  readonly hellos: string[] = [];
  /** By epoch and class. */
  readonly watermarks = new Map<string, ClassWatermark>();
  readonly #clock: Clock;
  peer: MemoryPeer | undefined;
  connectionCount = 0;
  /** Milliseconds that the region's clock is ahead. */
  aheadMs = 0;
  creditBytes = 1_000_000;
  isMute = false;
  isTaking = true;
  refusal: AgentAck["refused"];
  /** Called for each batch before it is taken; false = refused as ahead. */
  admit: (batch: WireBatch) => boolean = () => true;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  accept(peer: MemoryPeer): void {
    this.peer = peer;
    this.connectionCount += 1;
  }

  async receive(peer: MemoryPeer, bytes: Uint8Array): Promise<void> {
    const message = deserialize(bytes) as WireMessage;
    if (message.kind === "hello") {
      this.hellos.push(message.epoch);
      this.say(peer, { epoch: message.epoch, watermarks: this.#known(message.epoch) });
      return;
    }
    if (!this.isTaking) await new Promise(() => undefined);
    this.batches.push(message);
    const known = this.watermarks.get(`${message.epoch}/${message.eventClass}`) ?? emptyWatermark;
    const isNext = message.first <= known.sequence + 1;
    const isIn = isNext && this.admit(message);
    const watermark = isIn ? advance(known, message) : known;
    this.watermarks.set(`${message.epoch}/${message.eventClass}`, watermark);
    this.say(peer, {
      epoch: message.epoch,
      watermarks: { [message.eventClass]: watermark },
      rewind: isIn ? [] : [message.eventClass],
    });
  }

  say(peer: MemoryPeer | undefined, ack: Partial<AgentAck> & Pick<AgentAck, "epoch">): void {
    if (this.isMute) return;
    const { creditBytes, refusal } = this;
    const cloudMs = this.#clock.wallMs() + this.aheadMs;
    const blank = { watermarks: {}, rejected: [], rewind: [], creditBytes, cloudMs };
    peer?.ack({ ...blank, ...ack, ...(refusal && { refused: refusal }) });
  }

  sequences(eventClass: EventClass): number[] {
    const own = this.batches.filter((batch) => batch.eventClass === eventClass);
    return own.flatMap(({ first, last }) =>
      Array.from({ length: last - first + 1 }, (_, at) => first + at),
    );
  }

  #known(epoch: string): Partial<Record<EventClass, ClassWatermark>> {
    const own = [...this.watermarks].filter(([key]) => key.startsWith(epoch));
    return Object.fromEntries(own.map(([key, value]) => [key.slice(epoch.length + 1), value]));
  }
}

function advance(known: ClassWatermark, { last, segments }: WireBatch): ClassWatermark {
  if (last <= known.sequence) return known;
  let { stored, evicted, expired, damaged } = known;
  for (const segment of segments) {
    if (segment.kind === "events") {
      stored += segment.entries.filter(({ sequence }) => sequence > known.sequence).length;
      continue;
    }
    const count = segment.last - Math.max(segment.first, known.sequence + 1) + 1;
    if (count <= 0) continue;
    if (segment.reason === "evicted") evicted += count;
    else if (segment.reason === "expired") expired += count;
    else damaged += count;
  }
  return { sequence: last, stored, rejected: known.rejected, evicted, expired, damaged };
}
