import { MeshError, sleep, type Clock } from "@fleetmesh/core";
import {
  HttpAdminCaller,
  objectOf,
  textsOf,
  type AdminAnswer,
  type AdminCall,
  type HttpAdminCallerOptions,
} from "./http-admin-caller.ts";
import type { MessageId } from "./message-id.ts";
import type { TopicName } from "./pulsar-client.ts";
import type {
  ClusterAddress,
  ReplicationAdmin,
  ReplicationStart,
  Replicator,
} from "./replication-admin.ts";

export interface HttpReplicationAdminOptions extends HttpAdminCallerOptions {
  readonly tenant: string;
  readonly namespace: string;
  readonly clock: Clock;
}

type Change = Omit<AdminCall, "needs" | "path">;

/** Brokers tell each other of a topic's policy by messages: it is there when it reads back. */
const settleCountMax = 100;
const settleMs = 100;
const notFound = 404;
const conflict = 409;
const superuser = "the role of a superuser (superUserRoles in broker.conf)";
const tokenPlugin = "org.apache.pulsar.client.impl.auth.AuthenticationToken";
/** Pulsar's word for the oldest message. */
const earliest = { ledgerId: -1, entryId: -1 };

/**
 * Over Pulsar's REST API. Pulsar begins a replicator at the end of the topic, or goes on at the cursor that has the replicator's
 * name: `prepare` makes that cursor, at the wanted place, as a subscription. See docs/adr/0008.
 */
export class HttpReplicationAdmin implements ReplicationAdmin {
  readonly #caller: HttpAdminCaller;
  readonly #clock: Clock;
  readonly #tenant: string;
  readonly #namespace: string;

  /** Throws CONFIG_INVALID for an address that is none. */
  constructor(options: HttpReplicationAdminOptions) {
    this.#caller = new HttpAdminCaller(options);
    this.#clock = options.clock;
    this.#tenant = options.tenant;
    this.#namespace = `${options.tenant}/${options.namespace}`;
  }

  /** Only a superuser may do this: for others the cluster is known, or a topic that is to go there is refused. */
  async ensureCluster(name: string, address: ClusterAddress): Promise<boolean> {
    return unlessDenied(() => this.#introduce(name, address));
  }

  async ensureHome(own: string, clusters: readonly string[]): Promise<boolean> {
    const isAllowed = await unlessDenied(() => this.#allow([own, ...clusters]));
    const path = `namespaces/${this.#namespace}/replication`;
    const call = { path, needs: this.#tenantRole() };
    const { body } = await this.#caller.call({ ...call, method: "GET" });
    if (isSameSet(textsOf(body), [own])) return isAllowed;
    await this.#caller.call({ ...call, method: "POST", body: [own] });
    return true;
  }

  async clusters(topic: TopicName): Promise<readonly string[]> {
    return textsOf((await this.#ask(topic, "/replication", { method: "GET" })).body);
  }

  async setClusters(topic: TopicName, clusters: readonly string[]): Promise<void> {
    const wanted = [...new Set(clusters)];
    const change: Change =
      wanted.length === 0 ? { method: "DELETE" } : { method: "POST", body: wanted };
    await this.#ask(topic, "/replication", change);
    for (let count = 0; !isSameSet(await this.clusters(topic), wanted); count += 1) {
      if (count === settleCountMax) throw unsettled(topic);
      await sleep(this.#clock, settleMs);
    }
  }

  async replicators(topic: TopicName): Promise<readonly Replicator[]> {
    const [stats, places] = await Promise.all([
      this.#ask(topic, "/stats?getPreciseBacklog=true", { method: "GET" }),
      this.#places(topic),
    ]);
    const found = objectOf(objectOf(stats.body)["replication"]);
    return [...new Set([...places.keys(), ...Object.keys(found)])].map((cluster) => {
      const { connected, replicationBacklog } = objectOf(found[cluster]);
      const backlog = typeof replicationBacklog === "number" ? replicationBacklog : 0;
      return { cluster, isConnected: connected === true, backlog, place: places.get(cluster) };
    });
  }

  async prepare(topic: TopicName, cluster: string, start: ReplicationStart): Promise<void> {
    if ((await this.#places(topic)).has(cluster)) return;
    // What a replicator that ended leaves of the name, without a cursor.
    await this.forget(topic, cluster);
    const body = start === "earliest" ? earliest : await this.#entryBehind(topic, start);
    await this.#ask(topic, subscriptionOf(cluster), { method: "PUT", body, also: [conflict] });
    if (!(await this.#places(topic)).has(cluster)) throw unplaced(topic, cluster);
  }

  /** What `prepare` made is a subscription until the topic is loaded anew; its cursor is then a replicator's, or gone. */
  async isHeld(topic: TopicName, cluster: string): Promise<boolean> {
    const { body } = await this.#ask(topic, "/stats", { method: "GET" });
    return cursorPrefix + cluster in objectOf(objectOf(body)["subscriptions"]);
  }

  async forget(topic: TopicName, cluster: string): Promise<void> {
    // While a replicator that ends takes its cursor away, the broker would never answer another that does.
    for (let count = 0; await this.#isRunning(topic, cluster); count += 1) {
      if (count === settleCountMax) throw unsettled(topic);
      await sleep(this.#clock, settleMs);
    }
    await this.#ask(topic, subscriptionOf(cluster), { method: "DELETE", also: [notFound] });
  }

  async lagMs(topic: TopicName, cluster: string): Promise<number> {
    const part = `${subscriptionOf(cluster)}/position/1`;
    const change: Change = { method: "GET", isHeadOnly: true, also: [notFound] };
    const { status, headers } = await this.#ask(topic, part, change);
    if (status === notFound) return 0;
    const publishedMs = Date.parse(textOf(headers["x-pulsar-publish-time"]));
    const nowMs = Date.parse(textOf(headers["date"]));
    // The broker tells its time in whole seconds.
    return Number.isFinite(nowMs - publishedMs) ? Math.max(0, nowMs - publishedMs) : 0;
  }

  async note(topic: TopicName, name: string): Promise<string | undefined> {
    const { body } = await this.#ask(topic, "/properties", { method: "GET" });
    const text = objectOf(body)[name];
    return typeof text === "string" ? text : undefined;
  }

  async setNote(topic: TopicName, name: string, text: string): Promise<void> {
    await this.#ask(topic, "/properties", { method: "PUT", body: { [name]: text } });
  }

  close(): Promise<void> {
    return this.#caller.close();
  }

  async #introduce(name: string, address: ClusterAddress): Promise<boolean> {
    const path = `clusters/${encodeURIComponent(name)}`;
    const call = { path, needs: superuser };
    const found = await this.#caller.call({ ...call, method: "GET", also: [notFound] });
    const wanted = clusterRecord(address);
    const now = objectOf(found.body);
    const isThere = found.status !== notFound;
    const isSame = Object.entries(wanted).every(([key, value]) => now[key] === value);
    if (isThere && isSame) return false;
    const method = isThere ? "POST" : "PUT";
    await this.#caller.call({ ...call, method, body: { ...(isThere && now), ...wanted } });
    return true;
  }

  async #allow(clusters: readonly string[]): Promise<boolean> {
    const call = { path: `tenants/${this.#tenant}`, needs: superuser };
    const { body } = await this.#caller.call({ ...call, method: "GET" });
    const found = objectOf(body);
    const allowed = textsOf(found["allowedClusters"]);
    const missing = clusters.filter((cluster) => !allowed.includes(cluster));
    if (missing.length === 0) return false;
    const tenant = { ...found, allowedClusters: [...allowed, ...missing] };
    await this.#caller.call({ ...call, method: "POST", body: tenant });
    return true;
  }

  async #places(topic: TopicName): Promise<Map<string, MessageId | undefined>> {
    const { body } = await this.#ask(topic, "/internalStats", { method: "GET" });
    const places = new Map<string, MessageId | undefined>();
    for (const [name, cursor] of Object.entries(objectOf(objectOf(body)["cursors"]))) {
      if (!name.startsWith(cursorPrefix)) continue;
      const place = placeOf(textOf(objectOf(cursor)["markDeletePosition"]));
      places.set(name.slice(cursorPrefix.length), place);
    }
    return places;
  }

  async #isRunning(topic: TopicName, cluster: string): Promise<boolean> {
    const { body } = await this.#ask(topic, "/stats", { method: "GET" });
    return cluster in objectOf(objectOf(body)["replication"]);
  }

  /** Cursors go by entries. Of one that retention has taken nothing can be wanted. */
  async #entryBehind(topic: TopicName, { ledger, entry, batch }: MessageId): Promise<object> {
    if (entry < 0) return earliest;
    const next = { ledgerId: ledger, entryId: entry + 1 };
    if (batch < 0) return next;
    const change: Change = { method: "GET", isHeadOnly: true, also: [notFound, 500] };
    const { headers } = await this.#ask(topic, `/ledger/${ledger}/entry/${entry}`, change);
    const count = Number(headers["x-pulsar-num-batch-message"] ?? 1);
    return batch + 1 >= count ? next : { ledgerId: ledger, entryId: entry };
  }

  #tenantRole(): string {
    return `the role of an administrator of the tenant "${this.#tenant}"`;
  }

  /** A call about one topic. Errors: TOPIC_UNKNOWN besides the caller's. */
  async #ask(topic: TopicName, part: string, change: Change): Promise<AdminAnswer> {
    const path = `persistent/${this.#namespace}/${encodeURIComponent(topic)}${part}`;
    const also = [...(change.also ?? []), notFound];
    const answer = await this.#caller.call({ ...change, needs: this.#tenantRole(), path, also });
    if (answer.status !== notFound || change.also?.includes(notFound) === true) return answer;
    throw new MeshError("TOPIC_UNKNOWN", `Pulsar has no "${topic}"`);
  }
}

async function unlessDenied(change: () => Promise<boolean>): Promise<boolean> {
  try {
    return await change();
  } catch (error) {
    if (!MeshError.is(error, "PULSAR_DENIED")) throw error;
    return false;
  }
}

/** replicatorPrefix in broker.conf; nobody changes it. */
const cursorPrefix = "pulsar.repl.";

function subscriptionOf(cluster: string): string {
  return `/subscription/${encodeURIComponent(cursorPrefix + cluster)}`;
}

function clusterRecord({ adminUrl, brokerUrl, token }: ClusterAddress): Record<string, unknown> {
  const isAdminTls = adminUrl.startsWith("https:");
  const isBrokerTls = brokerUrl.startsWith("pulsar+ssl:");
  return {
    [isAdminTls ? "serviceUrlTls" : "serviceUrl"]: adminUrl,
    [isBrokerTls ? "brokerServiceUrlTls" : "brokerServiceUrl"]: brokerUrl,
    brokerClientTlsEnabled: isBrokerTls,
    ...(token !== undefined && {
      authenticationPlugin: tokenPlugin,
      authenticationParameters: JSON.stringify({ token }),
    }),
  };
}

/** `ledger:entry`; entry -1 is before the first of a ledger. */
function placeOf(text: string): MessageId | undefined {
  const [ledger, entry] = text.split(":").map(Number);
  if (ledger === undefined || entry === undefined || !(ledger >= 0) || !(entry >= 0))
    return undefined;
  return { ledger, entry, batch: -1 };
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

const isSameSet = (found: readonly string[], wanted: readonly string[]): boolean =>
  [...found].sort().join("\n") === [...wanted].sort().join("\n");

const unsettled = (topic: string): MeshError =>
  new MeshError("PULSAR_UNAVAILABLE", `Pulsar does not take on the clusters of "${topic}"`);

const unplaced = (topic: string, cluster: string): MeshError =>
  new MeshError("PULSAR_UNAVAILABLE", `Pulsar has no place for "${topic}" to ${cluster}`);
