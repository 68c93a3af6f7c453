import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { MetadataOptions } from "../../cloud-runtime/src/metadata/memory-metadata.ts";
import type { Metadata } from "../../cloud-runtime/src/metadata/metadata.ts";
import { sampleSubscription } from "../../cloud-runtime/test/subscription-samples.ts";

export type OpenMetadata = (options: Partial<MetadataOptions>) => Promise<Metadata>;

export function testMetadataContract(name: string, open: OpenMetadata): void {
  describe(`Metadata contract: ${name}`, () => {
    let metadata: Metadata;
    beforeEach(async () => {
      metadata = await open({ autoCreateTopics: true });
      await metadata.start();
    });
    afterEach(() => metadata.stop(AbortSignal.abort()));

    it("gives back what was put, and tells that it changed", async () => {
      let changes = 0;
      const forget = metadata.onChanged(() => (changes += 1));
      await metadata.putSubscription(sampleSubscription());
      expect(metadata.subscription("s1")).toEqual(sampleSubscription());
      expect(metadata.subscriptions()).toHaveLength(1);
      forget();
      await metadata.removeSubscription("s1");
      expect(metadata.subscriptions()).toHaveLength(0);
      expect(changes).toBe(1);
    });

    it("refuses a second making and a change of a revision that is past", async () => {
      await metadata.putSubscription(sampleSubscription());
      const again = metadata.putSubscription(sampleSubscription());
      await expect(again).rejects.toMatchObject({ kind: "SUBSCRIPTION_EXISTS" });
      await metadata.putSubscription(sampleSubscription({ revision: 3, state: "paused" }));
      const late = metadata.putSubscription(sampleSubscription({ revision: 2 }));
      await expect(late).rejects.toMatchObject({ kind: "SUBSCRIPTION_EXISTS" });
      expect(metadata.subscription("s1")?.state).toBe("paused");
    });

    it("judges changes made at the same time one after the other", async () => {
      const results = await Promise.allSettled([
        metadata.putSubscription(sampleSubscription()),
        metadata.putSubscription(sampleSubscription()),
        metadata.removeSubscription("s1"),
        metadata.removeSubscription("s1"),
      ]);
      expect(results.map(({ status }) => status)).toEqual([
        "fulfilled",
        "rejected",
        "fulfilled",
        "rejected",
      ]);
    });

    it("says that a subscription is unknown when it is to be removed", async () => {
      const removal = metadata.removeSubscription("nobody");
      await expect(removal).rejects.toMatchObject({ kind: "SUBSCRIPTION_UNKNOWN" });
    });

    it("lets a topic come into being once, however many ask for it", async () => {
      const specs = await Promise.all([1, 2, 3].map(() => metadata.admitTopic("a.b")));
      expect(new Set(specs.map((spec) => spec.name))).toEqual(new Set(["a.b"]));
      expect(metadata.topics()).toHaveLength(1);
      await expect(metadata.admitTopic("A b")).rejects.toMatchObject({ kind: "TOPIC_INVALID" });
    });

    it("refuses an unknown topic with the nearest name where topics do not come into being", async () => {
      const strict = await open({ autoCreateTopics: false });
      await strict.start();
      await strict.putTopic({ name: "vehicle.speed", retentionMs: 1, retentionBytes: 1 });
      await expect(strict.admitTopic("vehicle.sped")).rejects.toMatchObject({
        kind: "TOPIC_UNKNOWN",
        details: { nearest: ["vehicle.speed"] },
      });
      expect(await strict.admitTopic("vehicle.speed")).toMatchObject({ retentionMs: 1 });
      await strict.stop(AbortSignal.abort());
    });

    describe("removing a topic", () => {
      const spec = { name: "vehicle.telemetry", retentionMs: 1, retentionBytes: 2 };

      it("makes it unknown to who publishes and subscribes, and keeps what it was until the end", async () => {
        await metadata.putTopic(spec);
        await metadata.beginRemoval(spec.name);
        await metadata.beginRemoval(spec.name);
        expect(metadata.topic(spec.name)).toBeUndefined();
        expect(metadata.topics()).toEqual([]);
        expect(metadata.removing()).toEqual([spec]);
        const isGoing = {
          kind: "TOPIC_UNKNOWN",
          message: expect.stringContaining("being removed") as string,
        };
        await expect(metadata.admitTopic(spec.name)).rejects.toMatchObject(isGoing);
        const late = metadata.putSubscription(sampleSubscription());
        await expect(late).rejects.toMatchObject(isGoing);
        await metadata.endRemoval(spec.name);
        expect(metadata.removing()).toEqual([]);
        expect(await metadata.admitTopic(spec.name)).toMatchObject({ name: spec.name });
      });

      it("is refused while subscriptions name the topic, also one that is made at the same time", async () => {
        await metadata.putTopic(spec);
        const made = metadata.putSubscription(sampleSubscription());
        const removal = metadata.beginRemoval(spec.name);
        const inUse = { kind: "TOPIC_IN_USE", details: { subscriptions: ["s1"] } };
        await expect(removal).rejects.toMatchObject(inUse);
        await made;
        await metadata.putSubscription(sampleSubscription({ topic: "vehicle.>", revision: 2 }));
        await metadata.beginRemoval(spec.name);
        expect(metadata.removing()).toEqual([spec]);
      });

      it("is refused for a topic that nobody knows", async () => {
        const removal = metadata.beginRemoval("vehicle.none");
        await expect(removal).rejects.toMatchObject({ kind: "TOPIC_UNKNOWN" });
        await metadata.endRemoval("vehicle.none");
      });

      it("ends without effect when the topic is put again", async () => {
        await metadata.putTopic(spec);
        await metadata.beginRemoval(spec.name);
        await metadata.putTopic({ ...spec, retentionMs: 5 });
        expect(metadata.removing()).toEqual([]);
        await metadata.endRemoval(spec.name);
        expect(metadata.topic(spec.name)).toMatchObject({ retentionMs: 5 });
      });
    });

    it("wants each pattern once, since its first subscription, disabled ones left out", async () => {
      await metadata.putSubscription(sampleSubscription({ id: "a", createdMs: 20 }));
      await metadata.putSubscription(sampleSubscription({ id: "b", createdMs: 10 }));
      await metadata.putSubscription(sampleSubscription({ id: "c", topic: "x.>", createdMs: 5 }));
      await metadata.putSubscription(
        sampleSubscription({ id: "d", topic: "gone", state: "disabled" }),
      );
      expect(metadata.wants()).toEqual([
        { pattern: "vehicle.telemetry", sinceMs: 10 },
        { pattern: "x.>", sinceMs: 5 },
      ]);
    });
  });
}
