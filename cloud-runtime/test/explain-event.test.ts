import { systemClock } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { explainEvent } from "../src/delivery/explain-event.ts";
import { MemoryMetadata } from "../src/metadata/memory-metadata.ts";
import type { StoredEvent } from "../src/store/event-store.ts";
import { openMemoryStore } from "../src/store/memory-store.ts";
import { numberText } from "../src/store/shared/event-number.ts";
import { sampleEvent, sampleSubscription } from "./subscription-samples.ts";

const topic = "vehicle.telemetry";
const stored = (number: number): StoredEvent => ({
  ...{ position: String(number), topic, origin: { region: "cn-east" } },
  entry: { topic, sequence: 0, receivedMs: 1, event: sampleEvent({ id: `e${number}` }) },
  ...{ number: numberText({ run: 16, number }), sentMs: number },
});

describe("what became of an event", () => {
  it("is said of one that the group was given in another region before it came here", async () => {
    const { deliveries } = openMemoryStore({ region: "cn-west", clock: systemClock });
    await deliveries.start();
    const metadata = new MemoryMetadata();
    const runs = [{ run: 16, through: 3, open: "2" }];
    const place = { atMs: 1, origins: [{ region: "cn-east", sentMs: 1, runs }] };
    await metadata.putSubscription(sampleSubscription({ continues: { [topic]: place } }));
    const outcomes = [];
    for (const number of [1, 2, 3, 4]) {
      const [decision] = await explainEvent({ metadata, deliveries }, stored(number));
      outcomes.push(decision?.outcome);
    }
    expect(outcomes).toEqual(["elsewhere", "pending", "elsewhere", "pending"]);
    await deliveries.stop();
  });
});
