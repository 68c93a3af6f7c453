import { expect, vi } from "vitest";
import { adminCall, type PulsarAddress } from "../servers/pulsar-server.ts";

export interface TopicEntries {
  readonly numberOfEntries: number;
  /** Since the topic was loaded. */
  readonly entriesAddedCounter: number;
}

/** `path` as in the admin interface: persistent/tenant/namespace/topic. */
export async function topicEntries(server: PulsarAddress, path: string): Promise<TopicEntries> {
  const { text } = await adminCall(server, "GET", `${path}/internalStats`);
  return JSON.parse(text) as TopicEntries;
}

/** What lies in the topic is gone, read or not. */
export async function truncateTopic(server: PulsarAddress, path: string): Promise<void> {
  // What lies in the open ledger is not truncated: loaded again, the topic begins another.
  expect((await adminCall(server, "PUT", `${path}/unload`)).status).toBeLessThan(300);
  const truncated = async (): Promise<void> => {
    expect((await adminCall(server, "DELETE", `${path}/truncate`)).status).toBeLessThan(300);
    expect((await topicEntries(server, path)).numberOfEntries).toBe(0);
  };
  await vi.waitFor(truncated, { timeout: 60_000, interval: 200 });
}
