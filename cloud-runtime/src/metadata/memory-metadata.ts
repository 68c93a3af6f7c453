import { assertTopic } from "@fleetmesh/core";
import type { Metadata, Subscription, TopicSpec, Want } from "./metadata.ts";
import { MetadataState, type MetadataChange } from "./metadata-state.ts";

export interface MetadataOptions {
  /** A topic that is published or subscribed to comes into being by itself; meant for development. */
  readonly autoCreateTopics: boolean;
  /** Retention of a topic that came into being by itself. */
  readonly topicDefaults: { readonly retentionMs: number; readonly retentionBytes: number };
}

export const metadataOptionsDefault: MetadataOptions = {
  autoCreateTopics: false,
  topicDefaults: { retentionMs: 7 * 24 * 3_600_000, retentionBytes: 10 * 2 ** 30 },
};

/** Metadata that lives as long as the process: for tests and throw-away runs. `keep` is where a durable one differs. */
export class MemoryMetadata implements Metadata {
  readonly name: string = "memory-metadata";
  protected readonly state = new MetadataState();
  readonly #options: MetadataOptions;
  readonly #listeners = new Set<() => void>();
  readonly #admissions = new Map<string, Promise<TopicSpec>>();

  constructor(options: Partial<MetadataOptions> = {}) {
    this.#options = { ...metadataOptionsDefault, ...options };
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  topics(): readonly TopicSpec[] {
    return this.state.topics();
  }

  topic(name: string): TopicSpec | undefined {
    return this.state.topic(name);
  }

  async admitTopic(name: string): Promise<TopicSpec> {
    const known = this.state.topic(name);
    if (known) return known;
    assertTopic(name);
    const isLeaving = this.removing().some((topic) => topic.name === name);
    if (isLeaving || !this.#options.autoCreateTopics) throw this.state.topicUnknown(name);
    // Many publishers meet a new topic at once: one creation serves all.
    const running = this.#admissions.get(name) ?? this.#create(name);
    this.#admissions.set(name, running);
    try {
      return await running;
    } finally {
      this.#admissions.delete(name);
    }
  }

  async putTopic(spec: TopicSpec): Promise<void> {
    assertTopic(spec.name);
    await this.keep({ kind: "put-topic", topic: spec });
  }

  beginRemoval(topic: string): Promise<void> {
    return this.keep({ kind: "begin-removal", topic });
  }

  removing(): readonly TopicSpec[] {
    return this.state.removing();
  }

  endRemoval(topic: string): Promise<void> {
    return this.keep({ kind: "end-removal", topic });
  }

  subscriptions(): readonly Subscription[] {
    return this.state.subscriptions();
  }

  subscription(id: string): Subscription | undefined {
    return this.state.subscription(id);
  }

  putSubscription(subscription: Subscription): Promise<void> {
    return this.keep({ kind: "put-subscription", subscription });
  }

  removeSubscription(id: string): Promise<void> {
    return this.keep({ kind: "remove-subscription", id });
  }

  wants(): readonly Want[] {
    return this.state.wants();
  }

  onChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Makes a change durable, then visible. */
  protected async keep(change: MetadataChange): Promise<void> {
    this.state.check(change);
    this.state.apply(change);
    this.announce();
    return Promise.resolve();
  }

  protected announce(): void {
    for (const listener of this.#listeners) listener();
  }

  async #create(name: string): Promise<TopicSpec> {
    const spec = { name, ...this.#options.topicDefaults };
    await this.putTopic(spec);
    return spec;
  }
}
