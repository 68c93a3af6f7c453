import { describe, expect, it } from "vitest";
import { tokenRefusal } from "../src/token-refusal.ts";

const atMs = Date.UTC(2030, 0, 1);
const jwt = (claims: unknown): string =>
  `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;
const refusal = (token: string | undefined) => {
  const { kind, message } = tokenRefusal({ asked: "the connection", token, atMs }, "no reason");
  return { kind, message };
};
const after = (seconds: number): number => atMs / 1_000 + seconds;
const denied = { kind: "PULSAR_DENIED", message: "Pulsar refused the connection: no reason" };

describe("a token that Pulsar refused", () => {
  it("has expired when its time is over, also when it is by the cluster's clock only", () => {
    expect(refusal(jwt({ exp: after(-1) }))).toEqual({
      kind: "PULSAR_TOKEN_EXPIRED",
      message: "Pulsar refused the connection: the token expired at 2029-12-31T23:59:59.000Z",
    });
    expect(refusal(jwt({ exp: after(9) })).kind).toBe("PULSAR_TOKEN_EXPIRED");
  });

  it("is told with its first hour when that is yet to come", () => {
    expect(refusal(jwt({ nbf: after(3_600), exp: after(7_200) }))).toEqual({
      kind: "PULSAR_TOKEN_EXPIRED",
      message:
        "Pulsar refused the connection: the token is not valid before 2030-01-01T01:00:00.000Z",
    });
  });

  it("is refused for good in its time, and when it tells no time", () => {
    for (const token of [
      jwt({ sub: "mesh" }),
      jwt({ nbf: after(-3_600), exp: after(3_600) }),
      jwt({ exp: "1", nbf: null }),
      jwt({ exp: 1e300 }),
      jwt(null),
      jwt([1]),
      ...["", "e30", "e30.e30.e30", "a.!!.b", undefined],
    ])
      expect(refusal(token), token).toEqual(denied);
  });
});
