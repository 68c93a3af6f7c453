import { SimulatedClock, seededChance } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { allowedRate, consentRequestOf, readConsent } from "../src/consent/consent-request.ts";
import { consentState, granted, isConsentKey, resumedState } from "../src/consent/consent-state.ts";
import { DeliveryWindow } from "../src/delivery/delivery-window.ts";
import { TargetGate } from "../src/delivery/target-gate.ts";
import type { Subscription } from "../src/metadata/metadata.ts";
import { sampleSubscription } from "./subscription-samples.ts";

const asking = (over: Partial<Subscription> = {}): Subscription =>
  sampleSubscription({ protocolsettings: { validation: { ratePerMinute: 90 } }, ...over });
const caller = { origin: "mesh.example", callbackUrl: "https://mesh.example/" };

describe("the question for a sink's consent", () => {
  it("has origin, rate and callback, and no credential", () => {
    const subscription = asking({
      id: "a/b",
      consent: { sink: "http://127.0.0.1:9/", key: "k1" },
      sinkcredential: { credentialtype: "ACCESSTOKEN", accesstoken: "hush" },
    });
    expect(consentRequestOf(subscription, caller)).toMatchObject({
      method: "OPTIONS",
      url: "http://127.0.0.1:9/",
      headers: {
        "webhook-request-origin": "mesh.example",
        "webhook-request-rate": "90",
        "webhook-request-callback": "https://mesh.example/v1/webhook-consents/a%2Fb?key=k1",
      },
    });
    expect(JSON.stringify(consentRequestOf(subscription, caller))).not.toContain("hush");
  });

  it.each<[Record<string, string>, string]>([
    [{}, "none"],
    [{ "webhook-allowed-origin": "other.example" }, "none"],
    [{ "webhook-allowed-origin": "mesh.example.evil" }, "none"],
    [{ "webhook-allowed-origin": "MESH.example" }, "granted"],
    [{ "webhook-allowed-origin": "*" }, "granted"],
  ])("is answered by %j with %s, whatever the status", (headers, kind) => {
    for (const status of [200, 204, 403, 405, 500])
      expect(readConsent({ status, headers, body: "" }, "mesh.example", 90).kind).toBe(kind);
  });

  it.each<[string | undefined, number | undefined]>([
    ["120", 120],
    [" 1 ", 1],
    ["*", undefined],
    ["0", 90],
    ["-5", 90],
    ["many", 90],
    [undefined, 90],
  ])("allows by the rate %j %j pushes a minute where 90 were asked for", (said, wanted) =>
    expect(allowedRate(said, 90)).toBe(wanted),
  );
});

describe("consent", () => {
  it("is pending for a new subscription, with a key that cannot be guessed and differs", () => {
    const [one, other] = [consentState(asking()), consentState(asking())];
    expect(one).toMatchObject({ state: "pending" });
    expect(one.consent?.key).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(one.consent?.key).not.toBe(other.consent?.key);
    expect(isConsentKey(asking(one), one.consent?.key ?? "")).toBe(true);
    expect(isConsentKey(asking(one), "")).toBe(false);
    expect(isConsentKey(asking(), "")).toBe(false);
    expect(isConsentKey(undefined, "")).toBe(false);
  });

  it("uses its key up, and leaves a paused subscription paused", () => {
    const pending = asking(consentState(asking()));
    const by = { atMs: 5, ratePerMinute: undefined };
    expect(granted(pending, by)).toMatchObject({ state: "active", revision: 2 });
    expect(granted(pending, by).consent).toEqual({ sink: pending.sink, grantedMs: 5 });
    expect(resumedState(pending)).toBe("pending");
    expect(resumedState(granted(pending, by))).toBe("active");
    expect(granted({ ...pending, state: "paused" }, by).state).toBe("paused");
  });

  it("is asked for anew when the sink or the wish changes, and not for a paused one", () => {
    const kept = granted(asking(consentState(asking())), { atMs: 5, ratePerMinute: 60 });
    expect(consentState(asking(), kept)).toMatchObject({ state: "active", consent: kept.consent });
    expect(consentState(asking({ sink: "http://127.0.0.1:9/b" }), kept).state).toBe("pending");
    const more = asking({ protocolsettings: { validation: { ratePerMinute: 900 } } });
    expect(consentState(more, kept).state).toBe("pending");
    expect(consentState(more, { ...kept, state: "paused" }).state).toBe("paused");
    expect(consentState(sampleSubscription(), { ...kept, state: "pending" })).toEqual({
      ...{ state: "active", stateReason: undefined, consent: undefined },
    });
  });

  it.each([1, 2, 60, 599, 601, 6_000, 120_000])(
    "to %i pushes a minute is never exceeded in any minute",
    async (ratePerMinute) => {
      const [clock, chance] = [new SimulatedClock(), seededChance(1)];
      const { delivery } = sampleSubscription();
      const gate = new TargetGate(clock);
      const consent = { sink: "", grantedMs: 0, ratePerMinute };
      const window = new DeliveryWindow({
        ...{ delivery, consent, clock, chance, gate, onOpen: () => undefined },
      });
      const perTick: number[] = [];
      for (let tick = 0; tick < 6_400; tick += 1) {
        let count = 0;
        for (; window.mayStart(); count += 1) {
          window.started();
          window.ended();
        }
        perTick.push(count);
        await clock.advance(10);
      }
      window.stop();
      const sums = perTick
        .slice(0, 400)
        .map((_, at) => perTick.slice(at, at + 6_000).reduce((sum, count) => sum + count, 0));
      expect(Math.max(...sums)).toBeLessThanOrEqual(ratePerMinute);
      expect(Math.max(...sums)).toBeGreaterThanOrEqual(Math.floor(ratePerMinute / 2));
    },
  );
});
