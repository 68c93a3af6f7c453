import { MeshError, SimulatedClock } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { FailureThrottle, networkOf } from "../src/auth/failure-throttle.ts";

function throttleOf(options: { failureMax: number; addressMax?: number }) {
  const clock = new SimulatedClock();
  return { clock, throttle: new FailureThrottle({ clock, windowMs: 60_000, ...options }) };
}

function errorOf(act: () => void): MeshError {
  try {
    act();
  } catch (error) {
    return MeshError.from(error);
  }
  throw new Error("nothing was thrown");
}

describe("failure throttle", () => {
  it("refuses an address with the time to wait after too many failures, and lets it try again after the window", async () => {
    const { clock, throttle } = throttleOf({ failureMax: 3 });
    for (let at = 0; at < 3; at += 1) {
      throttle.check("10.0.0.1");
      throttle.record("10.0.0.1");
    }
    await clock.advance(20_000);
    const error = errorOf(() => throttle.check("10.0.0.1"));
    expect(error.kind).toBe("TOO_MANY_FAILURES");
    expect(error.retryAfterSeconds).toBe(40);
    throttle.check("10.0.0.2");
    await clock.advance(40_000);
    throttle.check("10.0.0.1");
  });

  it("remembers a bounded number of addresses", () => {
    const { throttle } = throttleOf({ failureMax: 1, addressMax: 100 });
    for (let at = 0; at < 1_000; at += 1) throttle.record(`10.0.${at >> 8}.${at & 255}`);
    expect(throttle.addressCount).toBe(100);
  });

  it("counts all addresses of one IPv6 subscriber together, and IPv4 in IPv6 as IPv4", () => {
    const { throttle } = throttleOf({ failureMax: 1 });
    throttle.record("2001:db8:1:2::1");
    expect(errorOf(() => throttle.check("2001:db8:1:2:ffff::9")).kind).toBe("TOO_MANY_FAILURES");
    throttle.check("2001:db8:1:3::1");
    expect(networkOf("::ffff:192.0.2.1")).toBe("192.0.2.1");
    expect(networkOf("2001:0db8:0001:0002:3:4:5:6")).toBe("2001:db8:1:2");
    expect(networkOf("::1")).toBe("0:0:0:0");
  });
});
