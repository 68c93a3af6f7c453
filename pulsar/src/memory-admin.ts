import { MeshError } from "@fleetmesh/core";
import type { MemoryBroker } from "./memory-broker.ts";
import type { MemoryLog } from "./memory-log.ts";
import type { MessageId } from "./message-id.ts";
import type { PulsarAdmin, TopicDrift, TopicPolicy } from "./pulsar-admin.ts";
import type { TopicName } from "./pulsar-client.ts";

/** Administration of the memory broker: policies are kept and given back; retention and compaction are its tests' to call. */
export class MemoryPulsarAdmin implements PulsarAdmin {
  readonly #broker: MemoryBroker;
  readonly #policies = new Map<TopicName, TopicPolicy>();

  constructor(broker: MemoryBroker) {
    this.#broker = broker;
  }

  async ensureNamespace(): Promise<void> {
    await this.#reach();
  }

  async topics(): Promise<TopicName[]> {
    await this.#reach();
    return [...this.#broker.logs.keys()];
  }

  async ensureTopic(topic: TopicName, policy: TopicPolicy): Promise<void> {
    await this.#reach();
    this.#broker.ensureLog(topic);
    const kept = this.#policies.get(topic);
    const { replicateTo = kept?.replicateTo } = policy;
    const properties = { ...kept?.properties, ...policy.properties };
    this.#policies.set(topic, { ...policy, replicateTo, properties });
  }

  async replicatedTo(topic: TopicName): Promise<readonly string[]> {
    await this.#logOf(topic);
    return this.#policies.get(topic)?.replicateTo ?? [];
  }

  async drift(topic: TopicName, policy: TopicPolicy): Promise<TopicDrift[]> {
    await this.#logOf(topic);
    const found = this.#policies.get(topic) ?? {};
    const fields = ["retentionMs", "retentionBytes", "replicateTo", "compactionBytes"] as const;
    const properties = Object.entries(policy.properties ?? {})
      .filter(([name, text]) => (found.properties?.[name] ?? "") !== text)
      .map(() => "properties" as const);
    return [...fields, ...properties.slice(0, 1)]
      .filter((field) => field !== "replicateTo" || policy.replicateTo !== undefined)
      .filter((field) => JSON.stringify(found[field]) !== JSON.stringify(policy[field]))
      .map((field) => ({ field, wanted: policy[field], found: found[field] }));
  }

  async deleteTopic(topic: TopicName): Promise<void> {
    await this.#reach();
    this.#broker.cut(topic);
    this.#broker.logs.delete(topic);
  }

  async deleteUnused(topic: TopicName): Promise<string | undefined> {
    await this.#reach();
    const count = this.#broker.connectedTo(topic);
    if (count > 0) return `Topic has ${count} connected producers/consumers`;
    this.#broker.logs.delete(topic);
    return undefined;
  }

  async lastMessageId(topic: TopicName): Promise<MessageId | undefined> {
    return (await this.#logOf(topic)).last;
  }

  async messageIdAt(topic: TopicName, timeMs: number): Promise<MessageId | undefined> {
    const { messages } = await this.#logOf(topic);
    return messages.find(({ publishedMs }) => publishedMs >= timeMs)?.id;
  }

  async compact(topic: TopicName): Promise<void> {
    (await this.#logOf(topic)).compact();
  }

  async isHealthy(): Promise<boolean> {
    return Promise.resolve(!this.#broker.isDown);
  }

  async #logOf(topic: TopicName): Promise<MemoryLog> {
    await this.#reach();
    const log = this.#broker.logs.get(topic);
    if (!log) throw new MeshError("TOPIC_UNKNOWN", `There is no topic ${topic}`);
    return log;
  }

  async #reach(): Promise<void> {
    await this.#broker.step();
    this.#broker.assertUp();
  }
}
