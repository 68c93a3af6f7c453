import { seededChance, systemClock } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import type { Resolve } from "../../cloud-runtime/src/target/address-guard.ts";
import { HttpTarget } from "../../cloud-runtime/src/target/http-target.ts";
import { MemoryTarget } from "../../cloud-runtime/src/target/memory-target.ts";
import type { DeliveryOutcome } from "../../cloud-runtime/src/target/target.ts";
import { sampleEvent, sampleSubscription } from "../../cloud-runtime/test/subscription-samples.ts";
import { DeliverySink } from "../integration/delivery-sink.ts";
import { testTargetContract, type Behaviour } from "./target.contract.ts";

const outcomes: Readonly<Record<Exclude<Behaviour, "hang">, DeliveryOutcome>> = {
  take: { kind: "taken", status: "200" },
  fail: { kind: "failed", status: "500" },
  refuse: { kind: "refused", status: "400" },
  retire: { kind: "retired", status: "410" },
};
const statuses = { take: 200, fail: 500, refuse: 400, retire: 410 };
const options = { clock: systemClock, chance: seededChance(1), allowPrivateSinks: true };

testTargetContract("memory", () => {
  let behaviour: Behaviour = "take";
  const target = new MemoryTarget(() =>
    behaviour === "hang" ? new Promise(() => undefined) : outcomes[behaviour],
  );
  return Promise.resolve({
    target,
    behave: (as) => (behaviour = as),
    identities: () => [],
    stop: () => target.stop(),
  });
});

testTargetContract("http", async () => {
  let behaviour: Behaviour = "take";
  const sink = await new DeliverySink((_, response) => {
    if (behaviour !== "hang") response.writeHead(statuses[behaviour]).end();
  }).start();
  const target = new HttpTarget(sampleSubscription({ sink: sink.url }), options);
  return {
    target,
    behave: (as) => (behaviour = as),
    identities: () => sink.received.map(({ headers }) => String(headers["webhook-id"])),
    stop: async () => {
      await target.stop();
      await sink.stop();
    },
  };
});

function push(target: HttpTarget, timeoutMs = 5_000): Promise<DeliveryOutcome> {
  const at = { topic: "a", subscription: "s1", timeoutMs, isRedriven: false };
  return new Promise((settle) =>
    target.deliver({ ...at, event: sampleEvent({ id: "1" }), settle }),
  );
}

describe("HTTP target", () => {
  it.each([
    [202, "taken"],
    [302, "failed"],
    [404, "refused"],
    [408, "failed"],
    [415, "refused"],
    [425, "failed"],
    [429, "failed"],
    [503, "failed"],
  ])("takes status %i as %s", async (status, kind) => {
    const sink = await new DeliverySink((_, response) =>
      response.writeHead(status, { "retry-after": "2" }).end("why"),
    ).start();
    const target = new HttpTarget(sampleSubscription({ sink: sink.url }), options);
    const outcome = await push(target);
    expect(outcome.kind).toBe(kind);
    const asksForSilence = status === 429 || status === 503;
    if (outcome.kind === "failed")
      expect(outcome.retryAfterMs).toBe(asksForSilence ? 2_000 : undefined);
    await target.stop();
    await sink.stop();
  });

  it("says why a connection failed, and tells a timeout from a reset", async () => {
    const sink = await new DeliverySink((_, response) => response.socket?.destroy()).start();
    const target = new HttpTarget(sampleSubscription({ sink: sink.url }), options);
    expect(await push(target)).toMatchObject({ kind: "failed", status: "reset" });
    sink.answer = () => undefined;
    expect(await push(target, 100)).toMatchObject({ kind: "failed", status: "timeout" });
    await sink.stop();
    expect(await push(target)).toMatchObject({ kind: "failed", status: "refused" });
    await target.stop();
  });

  it("reads an endless answer within bounds and keeps an excerpt", async () => {
    const sink = await new DeliverySink((_, response) => {
      response.writeHead(400);
      const timer = setInterval(() => response.write("x".repeat(16_384)), 1);
      response.on("close", () => clearInterval(timer));
    }).start();
    const target = new HttpTarget(sampleSubscription({ sink: sink.url }), options);
    const outcome = await push(target, 60_000);
    expect(outcome).toMatchObject({ kind: "refused", detail: "x".repeat(512) });
    await target.stop();
    await sink.stop();
  });

  it("does not connect to a private address, by number or by name", async () => {
    const sink = await new DeliverySink().start();
    const strict = { ...options, allowPrivateSinks: false };
    const byNumber = (): HttpTarget =>
      new HttpTarget(sampleSubscription({ sink: sink.url }), strict);
    expect(byNumber).toThrow(/not public/);
    // Passes the check of the URL; whatever resolver answers, it is a loopback address or nothing.
    const { port } = new URL(sink.url);
    const byName = new HttpTarget(
      sampleSubscription({ sink: `http://ip6-localhost:${port}/` }),
      strict,
    );
    const outcome = await push(byName);
    expect(outcome.kind).toBe("failed");
    expect(sink.received).toHaveLength(0);
    await byName.stop();
    await sink.stop();
  });

  it("connects to the address that was judged, each time anew, however a name changes its answer", async () => {
    const sink = await new DeliverySink().start();
    const { port } = new URL(sink.url);
    const subscription = sampleSubscription({ sink: `http://sink.example:${port}/` });
    const resolve: Resolve = (_, __, callback) =>
      callback(null, [{ address: "127.0.0.1", family: 4 }]);
    const strict = new HttpTarget(subscription, { ...options, allowPrivateSinks: false, resolve });
    expect(await push(strict)).toMatchObject({ kind: "failed", status: "forbidden" });
    expect(sink.received).toHaveLength(0);
    const allowed = { allowPrivateSinks: false, allowSinkNetworks: ["127.0.0.0/8"], resolve };
    const named = new HttpTarget(subscription, { ...options, ...allowed });
    expect((await push(named)).kind).toBe("taken");
    await Promise.all([strict.stop(), named.stop(), sink.stop()]);
  });

  it("does not follow a redirection, and tells it as a failure", async () => {
    const other = await new DeliverySink().start();
    const sink = await new DeliverySink((_, response) =>
      response.writeHead(307, { location: other.url }).end(),
    ).start();
    const target = new HttpTarget(sampleSubscription({ sink: sink.url }), options);
    expect(await push(target)).toMatchObject({ kind: "failed", status: "307" });
    expect(other.received).toHaveLength(0);
    await Promise.all([target.stop(), sink.stop(), other.stop()]);
  });
});
