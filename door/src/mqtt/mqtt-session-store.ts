import { Readable } from "node:stream";
import { hasWildcard, matchesFilter } from "./topic-filter.ts";
import { bytesOf, MqttSession, type Waiting } from "./mqtt-session.ts";

export interface SessionClient {
  readonly id: string;
}

export interface SessionSubscription {
  readonly topic: string;
  readonly qos: number;
}

export interface MqttSessionStoreOptions {
  readonly sessionsMax: number;
  readonly offlineCountMax: number;
  readonly offlineBytesMax: number;
  readonly offlineBytesTotalMax: number;
  /** Asked again for everything that is stored: the broker hands over denied subscriptions too. */
  readonly permits: (client: SessionClient, filter: string) => boolean;
  readonly isConnected: (clientId: string) => boolean;
  readonly onDropped: (count: number) => void;
}

/**
 * The broker's persistence: sessions in memory, every bound kept, nothing else. Sessions do not outlive the process, by
 * design: an event is durable in the buffer or the store, and the downlink is repeated from there when a client connects
 * again. Retained messages and wills are not kept here: the door takes publishes on its routes only, and a will lives with
 * its connection.
 * The method names and their being asynchronous are the broker's.
 */
export class MqttSessionStore {
  readonly #options: MqttSessionStoreOptions;
  readonly #sessions = new Map<string, MqttSession>();
  /** Of connected clients. */
  readonly #owners = new Map<string, string>();
  /** Filters without a wildcard, and the clients that have them; and the clients that have one with. */
  readonly #exact = new Map<string, Set<string>>();
  readonly #wild = new Set<string>();
  #waitingBytes = 0;

  constructor(options: MqttSessionStoreOptions) {
    this.#options = options;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** A client id belongs to who used it first: another principal's session is dropped, not inherited. */
  claim(clientId: string, owner: string): void {
    const session = this.#sessions.get(clientId);
    if (session && session.owner !== owner) this.#forget(clientId);
    const kept = this.#sessions.get(clientId);
    if (kept) kept.owner = owner;
    this.#owners.set(clientId, owner);
  }

  /** The client is gone; its name is needed no longer unless its session is kept. */
  leave(clientId: string): void {
    this.#owners.delete(clientId);
    this.#dropIfEmpty(clientId);
  }

  /** True when a QoS 2 publish with this id was stored and the client has not released it yet. */
  hasTaken(clientId: string, messageId: number): boolean {
    return this.#sessions.get(clientId)?.taken.has(messageId) ?? false;
  }

  filtersOf(clientId: string): readonly string[] {
    return [...(this.#sessions.get(clientId)?.filters.keys() ?? [])];
  }

  async setup(): Promise<void> {
    await Promise.resolve();
  }

  addSubscriptions(client: SessionClient, given: readonly SessionSubscription[]): Promise<void> {
    const permitted = given.filter(({ topic }) => this.#options.permits(client, topic));
    if (permitted.length === 0) return Promise.resolve();
    const session = this.#open(client.id);
    for (const { topic, qos } of permitted) {
      session.filters.set(topic, qos > 0 ? 1 : 0);
      this.#index(client.id, topic);
    }
    return Promise.resolve();
  }

  removeSubscriptions(client: SessionClient, filters: readonly string[]): Promise<void> {
    const session = this.#sessions.get(client.id);
    for (const filter of filters) {
      if (session?.filters.delete(filter)) this.#unindex(client.id, filter);
    }
    return Promise.resolve();
  }

  subscriptionsByClient(client: SessionClient): Promise<SessionSubscription[]> {
    const filters = this.#sessions.get(client.id)?.filters ?? [];
    return Promise.resolve([...filters].map(([topic, qos]) => ({ topic, qos })));
  }

  subscriptionsByTopic(topic: string): Promise<(SessionSubscription & { clientId: string })[]> {
    const clients = new Set([...(this.#exact.get(topic) ?? []), ...this.#wild]);
    const found: (SessionSubscription & { clientId: string })[] = [];
    for (const clientId of clients) {
      const filters = this.#sessions.get(clientId)?.filters ?? [];
      const isWanted = [...filters].some(
        ([filter, qos]) => qos > 0 && matchesFilter(filter, topic),
      );
      if (isWanted) found.push({ clientId, topic, qos: 1 });
    }
    return Promise.resolve(found);
  }

  countOffline(): Promise<{ subsCount: number; clientsCount: number }> {
    return Promise.resolve({ subsCount: this.#exact.size, clientsCount: this.#sessions.size });
  }

  cleanSubscriptions(client: SessionClient): Promise<void> {
    this.#forget(client.id);
    return Promise.resolve();
  }

  outgoingEnqueue(to: { clientId: string }, message: Waiting): Promise<void> {
    const session = this.#sessions.get(to.clientId);
    if (!session) return Promise.resolve();
    session.waiting.push({ ...message, messageId: undefined });
    this.#weigh(session, bytesOf(message));
    const { offlineCountMax, offlineBytesMax, offlineBytesTotalMax } = this.#options;
    while (
      session.waiting.length > offlineCountMax ||
      session.waitingBytes > offlineBytesMax ||
      (this.#waitingBytes > offlineBytesTotalMax && session.waiting.length > 0)
    ) {
      this.#remove(session, 0);
      this.#options.onDropped(1);
    }
    return Promise.resolve();
  }

  async outgoingEnqueueCombi(to: readonly { clientId: string }[], message: Waiting): Promise<void> {
    for (const one of to) await this.outgoingEnqueue(one, message);
  }

  /** Remembers the message id under which a message was sent. One that was dropped at a bound is not an error. */
  outgoingUpdate(client: SessionClient, sent: Waiting): Promise<void> {
    const waiting = this.#sessions.get(client.id)?.waiting ?? [];
    const same = waiting.find(
      (one) => one.brokerId === sent.brokerId && one.brokerCounter === sent.brokerCounter,
    );
    if (same) same.messageId = sent.messageId;
    return Promise.resolve();
  }

  outgoingClearMessageId(
    client: SessionClient,
    acked: { messageId?: number | undefined },
  ): Promise<Waiting | undefined> {
    const session = this.#sessions.get(client.id);
    if (!session || acked.messageId === undefined) return Promise.resolve(undefined);
    const at = session.waiting.findIndex((one) => one.messageId === acked.messageId);
    return Promise.resolve(at < 0 ? undefined : this.#remove(session, at));
  }

  outgoingStream(client: SessionClient): Readable {
    const waiting = this.#sessions.get(client.id)?.waiting ?? [];
    return Readable.from(waiting.map((one) => ({ cmd: "publish", qos: 1, retain: false, ...one })));
  }

  incomingStorePacket(client: SessionClient, publish: { messageId?: number }): Promise<void> {
    if (publish.messageId !== undefined) this.#open(client.id).taken.add(publish.messageId);
    return Promise.resolve();
  }

  incomingGetPacket(client: SessionClient, publish: { messageId?: number }): Promise<object> {
    const isKnown = this.hasTaken(client.id, publish.messageId ?? 0);
    return isKnown ? Promise.resolve(publish) : Promise.reject(new Error("no such packet"));
  }

  incomingDelPacket(client: SessionClient, publish: { messageId?: number }): Promise<void> {
    this.#sessions.get(client.id)?.taken.delete(publish.messageId ?? 0);
    return Promise.resolve();
  }

  cleanIncoming(client: SessionClient): Promise<void> {
    this.#sessions.get(client.id)?.taken.clear();
    if (!this.#owners.has(client.id)) this.#dropIfEmpty(client.id);
    return Promise.resolve();
  }

  storeRetained(): Promise<void> {
    return Promise.resolve();
  }

  createRetainedStream(): Readable {
    return Readable.from([]);
  }

  createRetainedStreamCombi(): Readable {
    return Readable.from([]);
  }

  putWill(): Promise<void> {
    return Promise.resolve();
  }

  delWill(): Promise<void> {
    return Promise.resolve();
  }

  /** Empty: the broker would publish the wills of living clients after the machine was suspended for minutes. */
  streamWill(): Readable {
    return Readable.from([]);
  }

  destroy(): Promise<void> {
    return Promise.resolve();
  }

  #open(clientId: string): MqttSession {
    const known = this.#sessions.get(clientId);
    if (known) return known;
    const session = new MqttSession();
    session.owner = this.#owners.get(clientId) ?? "";
    this.#sessions.set(clientId, session);
    if (this.#sessions.size > this.#options.sessionsMax) this.#forgetOldestAbsent();
    return session;
  }

  #forgetOldestAbsent(): void {
    for (const clientId of this.#sessions.keys()) {
      if (this.#options.isConnected(clientId)) continue;
      this.#forget(clientId);
      return;
    }
  }

  #forget(clientId: string): void {
    const session = this.#sessions.get(clientId);
    if (!session) return;
    this.#sessions.delete(clientId);
    for (const filter of session.filters.keys()) this.#unindex(clientId, filter);
    this.#wild.delete(clientId);
    this.#waitingBytes -= session.waitingBytes;
  }

  #dropIfEmpty(clientId: string): void {
    if (this.#sessions.get(clientId)?.isEmpty) this.#forget(clientId);
  }

  #index(clientId: string, filter: string): void {
    if (hasWildcard(filter)) {
      this.#wild.add(clientId);
      return;
    }
    const clients = this.#exact.get(filter) ?? new Set();
    this.#exact.set(filter, clients.add(clientId));
  }

  #unindex(clientId: string, filter: string): void {
    const clients = this.#exact.get(filter);
    clients?.delete(clientId);
    if (clients?.size === 0) this.#exact.delete(filter);
  }

  #remove(session: MqttSession, at: number): Waiting | undefined {
    const [removed] = session.waiting.splice(at, 1);
    if (removed) this.#weigh(session, -bytesOf(removed));
    return removed;
  }

  #weigh(session: MqttSession, byteCount: number): void {
    session.waitingBytes += byteCount;
    this.#waitingBytes += byteCount;
  }
}
