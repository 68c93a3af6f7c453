import { MeshError, type Chance, type Clock } from "@fleetmesh/core";
import { MemoryLog } from "./memory-log.ts";
import type { OutgoingMessage, TopicName } from "./pulsar-client.ts";

export interface MemoryBrokerOptions {
  readonly clock: Clock;
  readonly chance: Chance;
  /** How long a step over the network takes, at most; 0 = until the current turn is over. Milliseconds. */
  readonly latencyMsMax?: number;
}

/** Something that holds a connection to the broker, and loses it. */
export interface Connected {
  cut(reason: MeshError): void;
}

/** What becomes of a batch that was on its way when its connection broke. */
export type Fate = "stored" | "late" | "lost";

/**
 * A Pulsar cluster in this process's memory with the guarantees that the mesh relies on, and its ways to fail: connections that
 * break with messages in flight (stored, stored late, or lost), stalls, refusals, retention, compaction. Repeats by its seed.
 */
export class MemoryBroker {
  readonly options: MemoryBrokerOptions;
  readonly logs = new Map<TopicName, MemoryLog>();
  readonly names = new Map<string, Connected>();
  /** By topic and name, with a line break between, as `names`. */
  readonly fences = new Map<string, Connected>();
  readonly #connected = new Map<Connected, TopicName>();
  readonly #denied = new Set<TopicName>();
  #ledgers = 0;
  #isDown = false;
  #isStalled = false;

  constructor(options: MemoryBrokerOptions) {
    this.options = options;
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** Down: every connection breaks and none can be made. Up again, topics go on in new ledgers. */
  setDown(isDown: boolean): void {
    this.#isDown = isDown;
    if (isDown) this.cut();
    for (const log of this.logs.values()) {
      log.roll();
      log.wake();
    }
  }

  /** While stalled the broker takes messages and neither stores nor acknowledges them. */
  setStalled(isStalled: boolean): void {
    this.#isStalled = isStalled;
  }

  /** The role has no permission on the topic any more, or again. */
  setDenied(topic: TopicName, isDenied: boolean): void {
    if (isDenied) this.#denied.add(topic);
    else this.#denied.delete(topic);
    if (isDenied) this.cut(topic);
    this.logs.get(topic)?.wake();
  }

  /** Breaks the connections of one topic, or all. */
  cut(topic?: TopicName): void {
    const reason = new MeshError("PULSAR_UNAVAILABLE", "The connection to the broker is gone");
    for (const [connected, of] of [...this.#connected])
      if (topic === undefined || of === topic) connected.cut(reason);
  }

  connect(connected: Connected, topic: TopicName): void {
    this.#connected.set(connected, topic);
  }

  connectedTo(topic: TopicName): number {
    return [...this.#connected.values()].filter((of) => of === topic).length;
  }

  disconnect(connected: Connected): void {
    this.#connected.delete(connected);
  }

  ensureLog(topic: TopicName): MemoryLog {
    const log = this.logs.get(topic) ?? new MemoryLog(() => this.#ledgers++);
    this.logs.set(topic, log);
    return log;
  }

  /** Throws what a broker answers to who wants this topic now. */
  logOf(topic: TopicName): MemoryLog {
    this.assertUp();
    if (this.#denied.has(topic))
      throw new MeshError("PULSAR_DENIED", `No permission to use ${topic}`);
    const log = this.logs.get(topic);
    if (!log) throw new MeshError("TOPIC_UNKNOWN", `There is no topic ${topic}`);
    return log;
  }

  assertUp(): void {
    if (this.#isDown) throw new MeshError("PULSAR_UNAVAILABLE", "No broker answers");
  }

  /** In order: some stored, then some late, the rest lost. Late ones land within two seconds, or before the next message. */
  settleBroken(topic: TopicName, batches: readonly (readonly OutgoingMessage[])[]): void {
    const log = this.logs.get(topic);
    const { chance, clock } = this.options;
    let fate: Fate = "stored";
    for (const batch of batches) {
      if (fate === "stored" && chance.float() < 0.5) fate = chance.float() < 0.5 ? "late" : "lost";
      if (fate === "late" && chance.float() < 0.3) fate = "lost";
      if (fate === "stored") log?.append(batch, clock.wallMs());
      if (fate !== "late") continue;
      log?.delay(batch);
      clock.setTimer(chance.float() * 2_000, () => log?.land(clock.wallMs()));
    }
  }

  /** A step over the network. Steps of one connection end in their order: see `MemoryProducer`. */
  latencyMs(): number {
    return (this.options.latencyMsMax ?? 0) * this.options.chance.float();
  }

  async step(): Promise<void> {
    const delayMs = this.latencyMs();
    if (delayMs === 0) return;
    await new Promise<void>((resolve) => {
      this.options.clock.setTimer(delayMs, resolve);
    });
  }
}
