import {
  MeshError,
  type AgentAck,
  type Clock,
  type EventClass,
  type WireBatch,
  type WireMessage,
} from "@fleetmesh/core";
import { openMemoryStore, type AgentRun, type MemoryStore } from "@fleetmesh/cloud-runtime";
import { mapClasses, plainWatermark } from "./plain-watermark.ts";
import type { MemoryPeer, MemoryRegion } from "../../edge-agent/src/uplink/memory-link.ts";

export interface SimulatedRegionOptions {
  readonly decode: (bytes: Uint8Array) => WireMessage;
  /** Sequences whose events are refused for good. */
  readonly rejects: (sequence: number) => boolean;
}

/**
 * A region's end of the uplink over the real in-memory store: hello, batches in order, acknowledgements, rewinds, crashes.
 * `path/` runs the real ingress instead; this model stays because it is three times as fast, for the uplink alone.
 */
export class SimulatedRegion implements MemoryRegion {
  readonly store: MemoryStore;
  readonly #clock: Clock;
  readonly #alive = new Set<MemoryPeer>();
  readonly #options: SimulatedRegionOptions;

  constructor(clock: Clock, options: SimulatedRegionOptions) {
    this.#clock = clock;
    this.#options = options;
    this.store = openMemoryStore({ region: "test", clock, commitMs: 3 });
  }

  async start(): Promise<void> {
    await this.store.events.start();
  }

  accept(peer: MemoryPeer): void {
    this.#alive.add(peer);
  }

  gone(peer: MemoryPeer): void {
    this.#alive.delete(peer);
  }

  async receive(peer: MemoryPeer, bytes: Uint8Array): Promise<void> {
    const message = this.#options.decode(bytes);
    if (message.kind === "hello") {
      const { agentId, epoch } = message;
      const known = await this.store.events.watermarks(agentId, epoch);
      const watermarks = mapClasses(known, plainWatermark);
      const prints = mapClasses(known, (one) => one.prints);
      this.#ack(peer, { ...this.#blank(epoch), watermarks, prints });
      return;
    }
    await this.#batch(peer, message);
  }

  async #batch(peer: MemoryPeer, batch: WireBatch): Promise<void> {
    const { agentId, epoch, eventClass, first, last } = batch;
    const runs = batch.segments.flatMap((segment): AgentRun[] =>
      segment.kind === "gap"
        ? [segment]
        : segment.entries.map((entry) =>
            this.#options.rejects(entry.sequence)
              ? { kind: "rejected", entry, code: "MESH-3003", reason: "not permitted" }
              : { kind: "events", entries: [entry] },
          ),
    );
    const receipt = await this.store.events.appendFromAgent({
      agentId,
      epoch,
      eventClass,
      first,
      last,
      runs,
    });
    const watermarks = { [eventClass]: receipt.watermark };
    const rewind: EventClass[] = receipt.outcome === "ahead" ? [eventClass] : [];
    this.#ack(peer, { ...this.#blank(epoch), watermarks, rewind });
  }

  #blank(epoch: string): AgentAck {
    const cloudMs = this.#clock.wallMs();
    return { epoch, watermarks: {}, rejected: [], rewind: [], creditBytes: 65_536, cloudMs };
  }

  #ack(peer: MemoryPeer, ack: AgentAck): void {
    if (this.#alive.has(peer)) peer.ack(ack);
  }

  async restart(): Promise<void> {
    try {
      await this.store.events.start();
    } catch (error) {
      throw MeshError.from(error);
    }
  }
}
