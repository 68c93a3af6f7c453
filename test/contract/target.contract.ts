import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Delivery, DeliveryOutcome, Target } from "../../cloud-runtime/src/target/target.ts";
import { sampleEvent } from "../../cloud-runtime/test/subscription-samples.ts";

/** What the other side does with the next deliveries. */
export type Behaviour = "take" | "fail" | "refuse" | "retire" | "hang";

export interface TargetRig {
  readonly target: Target;
  behave(as: Behaviour): void;
  /** Identities that the other side was shown, in order; empty where it cannot tell. */
  readonly identities: () => readonly string[];
  stop(): Promise<void>;
}

export function testTargetContract(name: string, open: () => Promise<TargetRig>): void {
  describe(`Target contract: ${name}`, () => {
    let rig: TargetRig;
    beforeEach(async () => {
      rig = await open();
    });
    afterEach(() => rig.stop());

    const deliver = (id = "1", timeoutMs = 5_000): Promise<DeliveryOutcome> =>
      new Promise((settle) => {
        const delivery: Delivery = {
          event: sampleEvent({ id }),
          topic: "a.b",
          subscription: "s1",
          timeoutMs,
          isRedriven: false,
          settle,
        };
        rig.target.deliver(delivery);
      });

    it.each<[Behaviour, DeliveryOutcome["kind"]]>([
      ["take", "taken"],
      ["fail", "failed"],
      ["refuse", "refused"],
      ["retire", "retired"],
    ])("settles a delivery whose other side does %s as %s", async (behaviour, kind) => {
      rig.behave(behaviour);
      expect((await deliver()).kind).toBe(kind);
    });

    it("settles many at once, each exactly once", async () => {
      rig.behave("take");
      const outcomes = await Promise.all(Array.from({ length: 200 }, (_, at) => deliver(`${at}`)));
      expect(outcomes.map(({ kind }) => kind)).toEqual(outcomes.map(() => "taken"));
    });

    it("shows the same identity in each attempt of an event and another for another", async () => {
      rig.behave("take");
      for (const id of ["1", "1", "2"]) await deliver(id);
      const [first, again, other] = rig.identities();
      expect(again).toBe(first);
      if (other !== undefined) expect(other).not.toBe(first);
    });

    it("lets go of what is in flight when it stops, and takes nothing after", async () => {
      rig.behave("hang");
      const hanging = deliver("1", 60_000);
      await new Promise((resolve) => setImmediate(resolve));
      await rig.target.stop();
      expect((await hanging).kind).toBe("aborted");
      expect((await deliver("2")).kind).toBe("aborted");
    });
  });
}
