import { MeshError } from "@fleetmesh/core";
import {
  formatMessageId,
  type ClusterAddress,
  type MessageId,
  type ReplicationAdmin,
  type ReplicationStart,
  type Replicator,
} from "@fleetmesh/pulsar";

interface MemoryTopic {
  clusters: string[];
  readonly notes: Map<string, string>;
  readonly replicators: Map<string, { start: ReplicationStart; place: MessageId | undefined }>;
}

/** What a cluster would have of replication settings, and a way to take it down. */
export class MemoryReplication implements ReplicationAdmin {
  readonly topics = new Map<string, MemoryTopic>();
  readonly known = new Map<string, ClusterAddress>();
  home: string[] = [];
  isDown = false;
  /** The topic is loaded anew before the next cluster is set: what is prepared is lost. */
  isLoadedAnew = false;
  /** Every change that was made, in order. */
  readonly changes: string[] = [];

  addTopic(name: string, clusters: string[] = []): void {
    this.topics.set(name, { clusters, notes: new Map(), replicators: new Map() });
  }

  /** The replicator has brought everything up to this message. */
  moveTo(topic: string, cluster: string, place: MessageId): void {
    const replicator = this.#topic(topic).replicators.get(cluster);
    if (replicator) replicator.place = place;
  }

  async ensureCluster(name: string, address: ClusterAddress): Promise<boolean> {
    await this.#reach();
    if (JSON.stringify(this.known.get(name)) === JSON.stringify(address)) return false;
    this.known.set(name, address);
    return true;
  }

  async ensureHome(own: string, clusters: readonly string[]): Promise<boolean> {
    await this.#reach();
    const wanted = [own, ...clusters];
    if (this.home.join() === wanted.join()) return false;
    this.home = wanted;
    return true;
  }

  async clusters(topic: string): Promise<readonly string[]> {
    await this.#reach();
    return this.#topic(topic).clusters;
  }

  async setClusters(topic: string, clusters: readonly string[]): Promise<void> {
    await this.#reach();
    const found = this.#topic(topic);
    found.clusters = [...clusters];
    if (this.isLoadedAnew) {
      this.isLoadedAnew = false;
      found.replicators.clear();
    }
    this.changes.push(`${topic} to ${clusters.join()}`);
    for (const cluster of found.replicators.keys())
      if (!clusters.includes(cluster)) found.replicators.delete(cluster);
  }

  async replicators(topic: string): Promise<readonly Replicator[]> {
    await this.#reach();
    return [...this.#topic(topic).replicators].map(([cluster, { place }]) => ({
      ...{ cluster, isConnected: true, backlog: 0, place },
    }));
  }

  async prepare(topic: string, cluster: string, start: ReplicationStart): Promise<void> {
    await this.#reach();
    const { replicators } = this.#topic(topic);
    if (replicators.has(cluster)) return;
    replicators.set(cluster, { start, place: undefined });
    const place = start === "earliest" ? start : `behind ${formatMessageId(start)}`;
    this.changes.push(`${topic} prepared for ${cluster}: ${place}`);
  }

  async isHeld(topic: string, cluster: string): Promise<boolean> {
    await this.#reach();
    return this.#topic(topic).replicators.has(cluster);
  }

  async forget(topic: string, cluster: string): Promise<void> {
    await this.#reach();
    this.#topic(topic).replicators.delete(cluster);
  }

  async lagMs(): Promise<number> {
    await this.#reach();
    return 0;
  }

  async note(topic: string, name: string): Promise<string | undefined> {
    await this.#reach();
    return this.#topic(topic).notes.get(name);
  }

  async setNote(topic: string, name: string, text: string): Promise<void> {
    await this.#reach();
    this.#topic(topic).notes.set(name, text);
  }

  #topic(name: string): MemoryTopic {
    const topic = this.topics.get(name);
    if (!topic) throw new MeshError("TOPIC_UNKNOWN", `There is no ${name}`);
    return topic;
  }

  #reach(): Promise<void> {
    if (this.isDown) return Promise.reject(new MeshError("PULSAR_UNAVAILABLE", "nobody answers"));
    return Promise.resolve();
  }
}
