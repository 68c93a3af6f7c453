import { MeshError, seededChance, SimulatedClock } from "@fleetmesh/core";
import { beforeEach, describe, expect, it } from "vitest";
import { AccessTokenSource } from "../src/target/access-token.ts";
import type { GuardedAnswer, GuardedRequest } from "../src/target/guarded-request.ts";
import type { TokenCredential } from "../src/target/token-request.ts";

const client: TokenCredential = {
  credentialtype: "CLIENTCREDENTIALS",
  tokenendpoint: "https://login.example/token",
  clientid: "mesh east",
  clientsecret: "s3cret&more",
  scope: "events.write",
};
const refreshing: TokenCredential = {
  credentialtype: "REFRESHTOKEN",
  refreshtokenendpoint: "https://login.example/refresh",
  refreshtoken: "first-refresh",
};

let clock: SimulatedClock;
let asked: GuardedRequest[];
let kept: [from: string, to: string][];
let answer: () => Partial<GuardedAnswer> | Error;
const token = (fields: object = {}): Partial<GuardedAnswer> => ({
  body: JSON.stringify({
    ...{ access_token: `token-${asked.length}`, token_type: "Bearer", expires_in: 3600 },
    ...fields,
  }),
});

function open(credential: TokenCredential): AccessTokenSource {
  return new AccessTokenSource(credential, {
    clock,
    chance: seededChance(1),
    request: (wanted) => {
      asked.push(wanted);
      const given = answer();
      if (given instanceof Error) return Promise.reject(given);
      return Promise.resolve({ status: 200, headers: {}, body: "", ...given });
    },
    keepRefreshToken: (from, to) => {
      kept.push([from, to]);
      return Promise.resolve();
    },
  });
}

beforeEach(() => {
  [clock, asked, kept] = [new SimulatedClock(), [], []];
  answer = token;
});

describe("access tokens", () => {
  it("are asked for as RFC 6749 has it, with the client's name and secret in a header", async () => {
    expect(await open(client).fetch()).toBe("token-1");
    const [request] = asked;
    expect(request).toMatchObject({ method: "POST", url: client.tokenendpoint });
    expect(request?.body).toBe("grant_type=client_credentials&scope=events.write");
    const pair = Buffer.from("mesh+east:s3cret%26more").toString("base64");
    expect(request?.headers["authorization"]).toBe(`Basic ${pair}`);
  });

  it("are asked for with the secret in the body where that is wanted", async () => {
    await open({ ...client, clientauthentication: "body", audience: "a" }).fetch();
    expect(asked[0]?.headers).not.toHaveProperty("authorization");
    expect(Object.fromEntries(new URLSearchParams(asked[0]?.body))).toEqual({
      grant_type: "client_credentials",
      client_id: "mesh east",
      client_secret: "s3cret&more",
      scope: "events.write",
      audience: "a",
    });
  });

  it("are fetched once for all that wait, and kept until shortly before their end", async () => {
    const source = open(client);
    expect(source.current).toBeUndefined();
    const all = await Promise.all([source.fetch(), source.fetch(), source.fetch()]);
    expect(all).toEqual(["token-1", "token-1", "token-1"]);
    expect(source.current).toBe("token-1");
    await clock.advance(3_539_000);
    expect(source.current).toBe("token-1");
    await clock.advance(2_000);
    expect(source.current).toBeUndefined();
    expect(await source.fetch()).toBe("token-2");
  });

  it("are fetched anew when the sink refuses one, unless it is as fresh as the next would be", async () => {
    const source = open(client);
    await source.fetch();
    expect(source.refuse("token-1")).toBe(false);
    expect(source.current).toBe("token-1");
    await clock.advance(11_000);
    expect(source.refuse("token-1")).toBe(true);
    expect(source.current).toBeUndefined();
    await source.fetch();
    // Another delivery that had the old one finds the new one there.
    expect(source.refuse("token-1")).toBe(true);
    expect(source.current).toBe("token-2");
    expect(source.secrets).toEqual(expect.arrayContaining(["token-1", "token-2"]));
  });

  it.each<[string, () => Partial<GuardedAnswer> | Error, RegExp]>([
    [
      "refuses",
      () => ({ status: 400, body: '{"error":"invalid_client"}' }),
      /400 \(invalid_client\)/,
    ],
    ["repeats what it was sent", () => ({ status: 401, body: '{"error":"s3cret&more"}' }), /401$/],
    ["redirects", () => ({ status: 302 }), /answered 302/],
    ["answers no JSON", () => ({ body: "<html>" }), /no usable token/],
    ["gives a token that splits a header", () => token({ access_token: "a\r\nb: c" }), /no usable/],
    ["gives another type", () => token({ token_type: "mac" }), /another type/],
    ["cannot be reached", () => new Error("ECONNREFUSED"), /cannot be asked: ECONNREFUSED/],
  ])("fail in passing, in words without a secret, when the endpoint %s", async (_, says, words) => {
    answer = says;
    const failed: unknown = await open(client)
      .fetch()
      .catch((error: unknown) => error);
    expect(MeshError.is(failed, "DELIVERY_FAILED") && failed.retryable).toBe(true);
    expect(String(failed)).toMatch(words);
    expect(String(failed)).not.toContain("s3cret");
  });

  it("are asked for less and less often while the endpoint fails", async () => {
    answer = () => ({ status: 500 });
    const source = open(client);
    for (let second = 0; second < 600; second += 1) {
      await source.fetch().catch(() => undefined);
      await clock.advance(1_000);
    }
    expect(asked.length).toBeGreaterThan(8);
    expect(asked.length).toBeLessThan(40);
    answer = token;
    await clock.advance(60_000);
    expect(await source.fetch()).toMatch(/^token-/);
  });

  it("come by a refresh token, whose successor is kept before the access token is used", async () => {
    answer = () => token({ refresh_token: `refresh-${asked.length}` });
    const source = open(refreshing);
    await source.fetch();
    expect(Object.fromEntries(new URLSearchParams(asked[0]?.body))).toEqual({
      grant_type: "refresh_token",
      refresh_token: "first-refresh",
    });
    await clock.advance(3_600_000);
    await source.fetch();
    expect(new URLSearchParams(asked[1]?.body).get("refresh_token")).toBe("refresh-1");
    expect(kept).toEqual([
      ["first-refresh", "refresh-1"],
      ["refresh-1", "refresh-2"],
    ]);
    expect(source.isFor({ ...refreshing, refreshtoken: "refresh-2" })).toBe(true);
    expect(source.isFor(refreshing)).toBe(false);
  });

  it("are used first where the subscription brought one", () => {
    const until = new Date(clock.wallMs() + 600_000).toISOString();
    const source = open({ ...refreshing, accesstoken: "given", accesstokenexpiresutc: until });
    expect(source.current).toBe("given");
    expect(source.refuse("given")).toBe(true);
    expect(source.current).toBeUndefined();
    const late = open({
      ...refreshing,
      accesstoken: "g",
      accesstokenexpiresutc: "2000-01-01T00:00:00Z",
    });
    expect(late.current).toBeUndefined();
  });
});
