import { MeshError } from "@fleetmesh/core";
import type { MemoryBroker } from "./memory-broker.ts";
import type { MessageId } from "./message-id.ts";
import type {
  OutgoingMessage,
  ProducerOptions,
  PulsarProducer,
  TopicName,
} from "./pulsar-client.ts";

interface Sent {
  readonly message: OutgoingMessage;
  readonly bytes: number;
  readonly sentMs: number;
  readonly resolve: (id: MessageId) => void;
  readonly reject: (error: MeshError) => void;
}

/** A producer of the memory broker. What is sent in one turn is one batch, stored whole or not at all. */
export class MemoryProducer implements PulsarProducer {
  readonly ended: Promise<Error>;
  readonly #broker: MemoryBroker;
  readonly #topic: TopicName;
  readonly #options: ProducerOptions & { readonly messageBytesMax: number };
  #end: (reason: Error) => void = () => undefined;
  #over: MeshError | undefined;
  #batch: Sent[] = [];
  /** On their way to the broker, then on their way back. */
  readonly #outgoing: Sent[][] = [];
  readonly #stored: { readonly sent: Sent[]; readonly ids: MessageId[] }[] = [];
  #bytesInFlight = 0;
  #lastDueMs = 0;

  constructor(
    broker: MemoryBroker,
    topic: TopicName,
    options: ProducerOptions & { readonly messageBytesMax: number },
  ) {
    this.#broker = broker;
    this.#topic = topic;
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    broker.connect(this, topic);
    if (options.name !== undefined) broker.names.set(`${topic}\n${options.name}`, this);
  }

  send(message: OutgoingMessage): Promise<MessageId> {
    return new Promise((resolve, reject) => {
      if (this.#over) throw this.#over;
      const bytes = bytesOf(message);
      const { messageBytesMax, bytesInFlightMax } = this.#options;
      if (bytes > messageBytesMax)
        throw new MeshError("EVENT_TOO_LARGE", `A message of ${bytes} bytes`);
      if (this.#bytesInFlight + bytes > bytesInFlightMax)
        throw new MeshError("PULSAR_BUSY", `${this.#bytesInFlight} bytes are on their way already`);
      this.#bytesInFlight += bytes;
      const sentMs = this.#broker.options.clock.monotonicMs();
      this.#batch.push({ message, bytes, sentMs, resolve, reject });
      if (this.#batch.length === 1) queueMicrotask(() => this.#flush());
    });
  }

  async close(): Promise<void> {
    while (this.#bytesInFlight > 0 && !this.#over) await this.#after();
    this.cut(new MeshError("STOPPING", "The producer is closed"));
  }

  /** The connection breaks: nobody knows what became of the messages in flight. */
  cut(reason: MeshError): void {
    if (this.#over) return;
    this.#over = reason;
    const { names } = this.#broker;
    this.#broker.disconnect(this);
    for (const [name, producer] of names) if (producer === this) names.delete(name);
    const lost = [...this.#outgoing.splice(0), this.#batch];
    const batches = lost.map((batch) => batch.map(({ message }) => message));
    this.#broker.settleBroken(
      this.#topic,
      batches.filter((batch) => batch.length > 0),
    );
    for (const { sent } of this.#stored.splice(0)) for (const { reject } of sent) reject(reason);
    for (const batch of lost) for (const { reject } of batch) reject(reason);
    this.#end(reason);
  }

  #flush(): void {
    if (this.#over) return;
    const batch = this.#batch;
    this.#batch = [];
    this.#outgoing.push(batch);
    const { timeoutMs } = this.#options;
    if (this.#outgoing.length === 1) this.#watch(timeoutMs);
    void this.#after().then(() => this.#arrive());
  }

  /** After a step over the network, never before an earlier one of this producer. */
  #after(): Promise<void> {
    const { clock } = this.#broker.options;
    const latencyMs = this.#broker.latencyMs();
    if (latencyMs === 0 && this.#lastDueMs <= clock.monotonicMs()) return Promise.resolve();
    this.#lastDueMs = Math.max(this.#lastDueMs, clock.monotonicMs() + latencyMs);
    return new Promise((resolve) => {
      clock.setTimer(this.#lastDueMs - clock.monotonicMs(), resolve);
    });
  }

  #arrive(): void {
    if (this.#over) return;
    if (this.#broker.isStalled) {
      this.#broker.options.clock.setTimer(50, () => this.#arrive());
      return;
    }
    const sent = this.#outgoing.shift();
    if (!sent) return;
    const log = this.#broker.ensureLog(this.#topic);
    const nowMs = this.#broker.options.clock.wallMs();
    const ids = log.append(
      sent.map(({ message }) => message),
      nowMs,
    );
    this.#stored.push({ sent, ids });
    void this.#after().then(() => this.#acknowledge());
  }

  #acknowledge(): void {
    const stored = this.#stored.shift();
    if (!stored) return;
    for (const [at, { bytes, resolve }] of stored.sent.entries()) {
      this.#bytesInFlight -= bytes;
      resolve(stored.ids[at] as MessageId);
    }
  }

  /** Takes the broker for dead when the oldest message has waited too long. */
  #watch(delayMs: number): void {
    const { clock } = this.#broker.options;
    clock.setTimer(delayMs, () => {
      const oldest = this.#stored[0]?.sent[0] ?? this.#outgoing[0]?.[0];
      if (this.#over || !oldest) return;
      const leftMs = oldest.sentMs + this.#options.timeoutMs - clock.monotonicMs();
      // At least a millisecond: less may not move a clock that counts in fractions.
      if (leftMs > 0) this.#watch(Math.max(1, leftMs));
      else this.cut(new MeshError("PULSAR_UNAVAILABLE", "The broker did not acknowledge in time"));
    });
  }
}

function bytesOf({ payload, properties, key }: OutgoingMessage): number {
  let bytes = payload.length + (key === undefined ? 0 : Buffer.byteLength(key));
  for (const name in properties)
    bytes += Buffer.byteLength(name) + Buffer.byteLength(properties[name] ?? "");
  return bytes;
}
