import { describe, expect, it } from "vitest";
import { MqttSessionStore } from "../src/mqtt/mqtt-session-store.ts";

function storeOf(options: { sessionsMax?: number; bytesMax?: number; total?: number } = {}) {
  const connected = new Set<string>();
  const dropped = { count: 0 };
  const store = new MqttSessionStore({
    sessionsMax: options.sessionsMax ?? 10,
    offlineCountMax: 100,
    offlineBytesMax: options.bytesMax ?? 100_000,
    offlineBytesTotalMax: options.total ?? 1_000_000,
    permits: (_client, filter) => !filter.startsWith("secret"),
    isConnected: (clientId) => connected.has(clientId),
    onDropped: (count) => (dropped.count += count),
  });
  return { store, connected, dropped };
}

const message = (bytes: number, brokerCounter = 1) => ({
  topic: "commands/a",
  payload: Buffer.alloc(bytes),
  brokerId: "b",
  brokerCounter,
});

describe("mqtt session store", () => {
  it("stores only the subscriptions that are permitted, whatever the broker hands over", async () => {
    const { store } = storeOf();
    const given = [
      { topic: "commands/+", qos: 2 },
      { topic: "secret/x", qos: 1 },
    ];
    await store.addSubscriptions({ id: "a" }, given);
    expect(store.filtersOf("a")).toEqual(["commands/+"]);
    expect(await store.subscriptionsByTopic("secret/x")).toEqual([]);
    expect(await store.subscriptionsByTopic("commands/z")).toMatchObject([
      { clientId: "a", qos: 1 },
    ]);
  });

  it("names a client once for a topic that several of its filters match, and not for QoS 0", async () => {
    const { store } = storeOf();
    const one = ["commands/a", "commands/#", "+/a"].map((topic) => ({ topic, qos: 1 }));
    await store.addSubscriptions({ id: "a" }, one);
    await store.addSubscriptions({ id: "b" }, [{ topic: "commands/a", qos: 0 }]);
    expect(await store.subscriptionsByTopic("commands/a")).toHaveLength(1);
    await store.removeSubscriptions({ id: "a" }, ["commands/a", "commands/#", "+/a"]);
    expect(await store.subscriptionsByTopic("commands/a")).toEqual([]);
  });

  it("forgets the oldest absent session at the bound, never a connected one", async () => {
    const { store, connected } = storeOf({ sessionsMax: 2 });
    connected.add("a");
    for (const id of ["a", "b", "c"])
      await store.addSubscriptions({ id }, [{ topic: "t", qos: 1 }]);
    expect(store.sessionCount).toBe(2);
    expect(store.filtersOf("a")).toEqual(["t"]);
    expect(store.filtersOf("b")).toEqual([]);
    expect(await store.subscriptionsByTopic("t")).toHaveLength(2);
  });

  it("bounds what waits by bytes, per client and in all, and gives the room back", async () => {
    const { store, dropped } = storeOf({ bytesMax: 5_000, total: 8_000 });
    for (const id of ["a", "b"]) {
      await store.addSubscriptions({ id }, [{ topic: "t", qos: 1 }]);
      for (let at = 0; at < 10; at += 1)
        await store.outgoingEnqueue({ clientId: id }, message(1_000));
      expect(store.waitingBytes).toBeLessThanOrEqual(8_000);
    }
    expect(dropped.count).toBeGreaterThan(10);
    for (const id of ["a", "b"]) await store.cleanSubscriptions({ id });
    expect(store.waitingBytes).toBe(0);
    expect(store.sessionCount).toBe(0);
  });

  it("removes a message when it is acknowledged, and takes an acknowledgement of a dropped one calmly", async () => {
    const { store } = storeOf();
    await store.addSubscriptions({ id: "a" }, [{ topic: "t", qos: 1 }]);
    await store.outgoingEnqueue({ clientId: "a" }, message(10));
    await store.outgoingUpdate({ id: "a" }, { ...message(10), messageId: 9 });
    await store.outgoingUpdate({ id: "a" }, { ...message(10, 77), messageId: 3 });
    expect(await store.outgoingClearMessageId({ id: "a" }, { messageId: 3 })).toBeUndefined();
    expect(await store.outgoingClearMessageId({ id: "a" }, { messageId: 9 })).toMatchObject({
      messageId: 9,
    });
    expect(store.waitingBytes).toBe(0);
  });

  it("keeps nothing of a client without a session once it is gone", async () => {
    const { store } = storeOf();
    store.claim("a", "principal");
    await store.incomingStorePacket({ id: "a" }, { messageId: 1 });
    expect(store.hasTaken("a", 1)).toBe(true);
    store.leave("a");
    await store.cleanIncoming({ id: "a" });
    expect(store.sessionCount).toBe(0);
    for (const stream of [store.createRetainedStream(), store.streamWill()]) {
      expect(await stream.toArray()).toEqual([]);
    }
  });
});
