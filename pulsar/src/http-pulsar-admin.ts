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
import type { PulsarAdmin, TopicDrift, TopicPolicy } from "./pulsar-admin.ts";
import type { TopicName } from "./pulsar-client.ts";
import { driftOf, settingsOf, type TopicSettings } from "./topic-settings.ts";

export interface HttpPulsarAdminOptions extends HttpAdminCallerOptions {
  readonly tenant: string;
  readonly namespace: string;
  readonly clock: Clock;
}

type Change = Omit<AdminCall, "needs" | "path"> & { readonly needs?: string };

const reading: Change = { method: "GET", needs: "the permission consume on the namespace" };

/** Brokers tell each other of a topic's policy by messages: it is there when it reads back. */
const settleCountMax = 100;
const settleMs = 100;
const compactionCountMax = 1_200;
const quotaTypes = ["destination_storage", "message_age"] as const;
const noQuota = { limitSize: -1, limitTime: -1, policy: "producer_request_hold" };
const notFound = 404;
const conflict = 409;
/** Precondition failed: of a topic, that somebody is connected to it. */
const busy = 412;
/** Properties that the bridge keeps with a topic are no part of its policy. */
const notePrefix = "mesh.";

/** Pulsar's REST API of version 2. See PulsarAdmin for what is promised. */
export class HttpPulsarAdmin implements PulsarAdmin {
  readonly #caller: HttpAdminCaller;
  readonly #clock: Clock;
  readonly #tenant: string;
  readonly #namespace: string;

  /** Throws CONFIG_INVALID for an address that is none. */
  constructor(options: HttpPulsarAdminOptions) {
    this.#caller = new HttpAdminCaller(options);
    this.#clock = options.clock;
    this.#tenant = options.tenant;
    this.#namespace = `${options.tenant}/${options.namespace}`;
  }

  async ensureNamespace(clusters: readonly string[]): Promise<void> {
    await this.#ensureTenant(clusters);
    const path = `namespaces/${this.#namespace}`;
    const needs = `the role of an administrator of the tenant "${this.#tenant}"`;
    const replication = { method: "GET", path: `${path}/replication`, needs } as const;
    const found = await this.#caller.call({ ...replication, also: [notFound, conflict] });
    if (found.status === notFound) {
      const body = clusters.length === 0 ? {} : { replication_clusters: clusters };
      await this.#caller.call({ method: "PUT", path, body, needs, also: [conflict] });
    } else if (clusters.length > 0 && !isSameSet(found.body, clusters))
      await this.#caller.call({ ...replication, method: "POST", body: clusters });
    await this.#forbidTopicCreation(`${path}/autoTopicCreation`, needs);
    await this.#liftBacklogQuotas(path, needs);
  }

  async topics(): Promise<TopicName[]> {
    const path = `persistent/${this.#namespace}`;
    const needs = `the role of an administrator of the tenant "${this.#tenant}"`;
    const { body } = await this.#caller.call({ method: "GET", path, needs });
    const names = (Array.isArray(body) ? body : []).map(String);
    const prefix = `persistent://${this.#namespace}/`;
    const short = names.map((name) => (name.startsWith(prefix) ? name.slice(prefix.length) : name));
    // Pulsar's own: policies, transactions.
    return short.filter((name) => !name.startsWith("__")).sort();
  }

  async ensureTopic(topic: TopicName, policy: TopicPolicy): Promise<void> {
    const body = givenOf(settingsOf(policy).properties);
    await this.#ask(topic, "", { method: "PUT", body, also: [conflict] });
    let drift = await this.drift(topic, policy);
    await this.#correct(topic, policy, drift);
    for (let count = 0; drift.length > 0; count += 1) {
      if (count === settleCountMax) throw unsettled(topic, drift);
      if (count > 0) await sleep(this.#clock, settleMs);
      drift = await this.drift(topic, policy);
    }
  }

  async replicatedTo(topic: TopicName): Promise<readonly string[]> {
    return textsOf(await this.#ask(topic, "/replication?applied=true", { method: "GET" }));
  }

  async drift(topic: TopicName, policy: TopicPolicy): Promise<TopicDrift[]> {
    return driftOf(policy, await this.#settings(topic));
  }

  async deleteTopic(topic: TopicName): Promise<void> {
    await this.#ask(topic, "?force=true", { method: "DELETE", also: [notFound] });
  }

  async deleteUnused(topic: TopicName): Promise<string | undefined> {
    const also = [notFound, busy];
    const { status, body } = await this.#answer(topic, "", { method: "DELETE", also });
    return status === busy ? String(objectOf(body)["reason"]) : undefined;
  }

  async lastMessageId(topic: TopicName): Promise<MessageId | undefined> {
    return messageIdOf(await this.#ask(topic, "/lastMessageId", reading));
  }

  async messageIdAt(topic: TopicName, timeMs: number): Promise<MessageId | undefined> {
    const time = Math.max(0, Math.ceil(timeMs));
    const found = messageIdOf(await this.#ask(topic, `/messageid/${time}`, reading));
    const last = await this.lastMessageId(topic);
    // Where nothing is young enough Pulsar names the place at which the next message will be.
    const isThere =
      found !== undefined &&
      last !== undefined &&
      (found.ledger - last.ledger || found.entry - last.entry) <= 0;
    return isThere ? this.#firstOf(topic, found) : undefined;
  }

  async compact(topic: TopicName): Promise<void> {
    await this.#ask(topic, "/compaction", { method: "PUT", also: [conflict] });
    for (let count = 0; count < compactionCountMax; count += 1) {
      const state = objectOf(await this.#ask(topic, "/compaction", { method: "GET" }));
      if (state["status"] === "SUCCESS") return;
      if (state["status"] === "ERROR") throw compactionFailed(topic, String(state["lastError"]));
      await sleep(this.#clock, settleMs);
    }
    throw compactionFailed(topic, "it takes too long");
  }

  async isHealthy(): Promise<boolean> {
    const call = { method: "GET", path: "brokers/health", needs: "a valid token" } as const;
    try {
      return (await this.#caller.call(call)).body === "ok";
    } catch (error) {
      if (MeshError.is(error, "PULSAR_UNAVAILABLE")) return false;
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#caller.close();
  }

  /** Only a superuser may look at tenants: for others the namespace is there, or cannot be made. */
  async #ensureTenant(clusters: readonly string[]): Promise<void> {
    const path = `tenants/${this.#tenant}`;
    const needs = "the role of a superuser (superUserRoles in broker.conf)";
    const found = await this.#tenantInfo(path, needs);
    if (found === "hidden") return;
    const allowed = found === undefined ? [] : textsOf(found["allowedClusters"]);
    const missing = clusters.filter((cluster) => !allowed.includes(cluster));
    if (found !== undefined && missing.length === 0) return;
    const wanted = [...allowed, ...missing];
    const allowedClusters = wanted.length > 0 ? wanted : await this.#allClusters(needs);
    const body = { adminRoles: [], ...found, allowedClusters };
    const method = found === undefined ? "PUT" : "POST";
    await this.#caller.call({ method, path, body, needs, also: [conflict] });
  }

  async #tenantInfo(path: string, needs: string) {
    try {
      const answer = await this.#caller.call({ method: "GET", path, needs, also: [notFound] });
      return answer.status === notFound ? undefined : objectOf(answer.body);
    } catch (error) {
      if (!MeshError.is(error, "PULSAR_DENIED")) throw error;
      return "hidden";
    }
  }

  async #allClusters(needs: string): Promise<string[]> {
    const { body } = await this.#caller.call({ method: "GET", path: "clusters", needs });
    return textsOf(body).filter((name) => name !== "global");
  }

  /** Else a consumer's misspelt topic would come into being, without retention. */
  async #forbidTopicCreation(path: string, needs: string): Promise<void> {
    const { body } = await this.#caller.call({ method: "GET", path, needs });
    if (objectOf(body)["allowAutoTopicCreation"] === false) return;
    const forbidden = { allowAutoTopicCreation: false };
    await this.#caller.call({ method: "POST", path, body: forbidden, needs });
  }

  /**
   * The broker's default would stop all producers of a topic once a foreign subscription is 10 GB behind, and would not let a
   * topic keep less than that: what is kept is retention's to say.
   */
  async #liftBacklogQuotas(path: string, needs: string): Promise<void> {
    const found = await this.#caller.call({
      method: "GET",
      path: `${path}/backlogQuotaMap`,
      needs,
    });
    for (const type of quotaTypes) {
      const { limitSize, limitTime } = objectOf(objectOf(found.body)[type]);
      if (limitSize === -1 && limitTime === -1) continue;
      const place = `${path}/backlogQuota?backlogQuotaType=${type}`;
      await this.#caller.call({ method: "POST", path: place, body: noQuota, needs });
    }
  }

  async #settings(topic: TopicName): Promise<TopicSettings> {
    const get = (part: string): Promise<unknown> => this.#ask(topic, part, { method: "GET" });
    const [retention, clusters, compaction, properties] = await Promise.all([
      get("/retention"),
      get("/replication"),
      get("/compactionThreshold"),
      get("/properties"),
    ]);
    const kept = objectOf(retention);
    return {
      retentionMinutes: numberOf(kept["retentionTimeInMinutes"]),
      retentionMegabytes: numberOf(kept["retentionSizeInMB"]),
      clusters: Array.isArray(clusters) ? textsOf(clusters) : undefined,
      compactionBytes: numberOf(compaction),
      properties: Object.fromEntries(
        Object.entries(objectOf(properties))
          .filter(([name]) => !name.startsWith(notePrefix))
          .map(([name, value]) => [name, String(value)]),
      ),
    };
  }

  async #correct(
    topic: TopicName,
    policy: TopicPolicy,
    drift: readonly TopicDrift[],
  ): Promise<void> {
    const wanted = settingsOf(policy);
    const fields = new Set(drift.map(({ field }) => field));
    const set = (part: string, body: unknown): Promise<unknown> =>
      this.#ask(topic, part, body === undefined ? { method: "DELETE" } : { method: "POST", body });
    if (fields.has("retentionMs") || fields.has("retentionBytes"))
      await set("/retention", {
        retentionTimeInMinutes: wanted.retentionMinutes,
        retentionSizeInMB: wanted.retentionMegabytes,
      });
    if (fields.has("replicateTo")) await set("/replication", wanted.clusters);
    if (fields.has("compactionBytes")) await set("/compactionThreshold", wanted.compactionBytes);
    if (fields.has("properties")) await this.#setProperties(topic, wanted.properties);
  }

  async #setProperties(topic: TopicName, wanted: Readonly<Record<string, string>>): Promise<void> {
    await this.#ask(topic, "/properties", { method: "PUT", body: givenOf(wanted) });
    for (const [name, text] of Object.entries(wanted)) {
      if (text !== "") continue;
      const part = `/properties?key=${encodeURIComponent(name)}`;
      await this.#ask(topic, part, { method: "DELETE" });
    }
  }

  /** Pulsar finds the entry; all messages of a batch were sent at the same time. */
  async #firstOf(topic: TopicName, { ledger, entry }: MessageId): Promise<MessageId> {
    const part = `/ledger/${ledger}/entry/${entry}`;
    const { headers } = await this.#answer(topic, part, { ...reading, isHeadOnly: true });
    return { ledger, entry, batch: "x-pulsar-num-batch-message" in headers ? 0 : -1 };
  }

  async #ask(topic: TopicName, part: string, change: Change): Promise<unknown> {
    return (await this.#answer(topic, part, change)).body;
  }

  /** A call about one topic. Errors: TOPIC_UNKNOWN besides the caller's. */
  async #answer(topic: TopicName, part: string, change: Change): Promise<AdminAnswer> {
    const path = `persistent/${this.#namespace}/${encodeURIComponent(topic)}${part}`;
    const needs = `the role of an administrator of the tenant "${this.#tenant}"`;
    const also = [...(change.also ?? []), notFound];
    const answer = await this.#caller.call({ needs, ...change, path, also });
    if (answer.status !== notFound || change.also?.includes(notFound) === true) return answer;
    const reason = objectOf(answer.body)["reason"];
    throw new MeshError("TOPIC_UNKNOWN", `Pulsar has no "${topic}": ${String(reason)}`);
  }
}

/** Those that are to be there. */
const givenOf = (properties: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(properties).filter(([, text]) => text !== ""));

/** Undefined for Pulsar's "none": no ledger, or none of its entries. */
function messageIdOf(body: unknown): MessageId | undefined {
  const { ledgerId, entryId, batchIndex } = objectOf(body);
  const [ledger, entry] = [numberOf(ledgerId) ?? -1, numberOf(entryId) ?? -1];
  if (ledger < 0 || entry < 0) return undefined;
  return { ledger, entry, batch: numberOf(batchIndex) ?? -1 };
}

const numberOf = (value: unknown): number | undefined =>
  typeof value === "number" ? value : undefined;

const isSameSet = (found: unknown, wanted: readonly string[]): boolean =>
  textsOf(found).sort().join("\n") === [...wanted].sort().join("\n");

const unsettled = (topic: string, drift: readonly TopicDrift[]): MeshError => {
  const fields = drift.map(({ field }) => field).join(", ");
  return new MeshError("PULSAR_UNAVAILABLE", `Pulsar does not take on ${fields} of "${topic}"`);
};

const compactionFailed = (topic: string, why: string): MeshError =>
  new MeshError("PULSAR_UNAVAILABLE", `Pulsar did not compact "${topic}": ${why}`);
