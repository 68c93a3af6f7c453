import { createServer, get, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createPanel, panelConfigSchema, type Panel } from "../src/index.ts";

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

describe("panel", () => {
  it("shows a region's numbers with the token it was given, and a region that is down as down", async () => {
    const tokens: (string | undefined)[] = [];
    const region = await listen((token) => tokens.push(token));
    const panel = await start([
      { name: "east", url: region },
      { name: "west", url: "http://127.0.0.1:1" },
    ]);
    const overview: unknown = await (await fetch(`${panel}/v1/overview`)).json();
    expect(overview).toEqual({
      regions: [
        { name: "east", url: region, isUp: true, status: { stored: 42 } },
        { name: "west", url: "http://127.0.0.1:1", isUp: false },
      ],
      agents: [],
    });
    expect(tokens).toEqual(["Bearer secret"]);
  });

  it("asks a region once a second, however many look", async () => {
    let asked = 0;
    const region = await listen(() => (asked += 1));
    const panel = await start([{ name: "east", url: region }]);
    await Promise.all(Array.from({ length: 20 }, () => fetch(`${panel}/v1/overview`)));
    expect(asked).toBe(1);
  });

  it("serves a page that no other site can frame and that shows no token", async () => {
    const panel = await start([{ name: "east", url: "http://127.0.0.1:1" }]);
    const response = await fetch(panel);
    const text = await response.text();
    expect(response.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(text).toContain("<title>Fleetmesh</title>");
    expect(text).not.toContain("secret");
  });

  it("answers by this machine's own names only, so that no page elsewhere can rebind its name to it", async () => {
    const panel = await start([{ name: "east", url: "http://127.0.0.1:1" }]);
    const { port } = new URL(panel);
    for (const host of ["evil.example", `evil.example:${port}`, `127.0.0.1.evil.example:${port}`]) {
      expect(await statusOf(panel, host)).toBe(421);
    }
    for (const host of ["127.0.0.1", `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`]) {
      expect(await statusOf(panel, host)).toBe(200);
    }
  });

  it("answers what it does not have with a problem document", async () => {
    const panel = await start([{ name: "east", url: "http://127.0.0.1:1" }]);
    for (const [path, status] of [
      ["/nothing", 404],
      ["/%ff", 400],
    ] as const) {
      const response = await fetch(panel + path);
      expect(response.status).toBe(status);
      expect(response.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    }
  });
});

/** fetch does not let its caller say which host it asks for. */
function statusOf(panel: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(`${panel}/v1/overview`, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).once("error", reject);
  });
}

async function start(regions: { name: string; url: string }[]): Promise<string> {
  const panel: Panel = createPanel(panelConfigSchema.parse({ port: 0, token: "secret", regions }));
  await panel.start();
  stops.push(() => panel.stop());
  return `http://127.0.0.1:${panel.port}`;
}

function listen(onRequest: (token: string | undefined) => void): Promise<string> {
  const server: Server = createServer((request, response) => {
    onRequest(request.headers.authorization);
    response.setHeader("content-type", "application/json").end('{"stored":42}');
  });
  stops.push(() => new Promise((resolve) => server.close(resolve)));
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () =>
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    );
  });
}
