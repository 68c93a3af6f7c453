import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePortBase } from "../durability/mesh-processes.ts";
import { until } from "./delivery-sink.ts";
import { curl, DevFixture } from "./dev-fixture.ts";
import { DevProcess, mesh, run } from "./mesh-cli.ts";

const isMissing = (program: string): boolean => spawnSync(program, ["--help"]).error !== undefined;

let fixture: DevFixture;
beforeAll(async () => {
  fixture = await DevFixture.open();
});
afterAll(() => fixture.close());

const eventText = (id: string): string =>
  JSON.stringify({ specversion: "1.0", id, source: "urn:curl", type: "t", data: { n: 1.0 } });

describe("mesh dev", () => {
  it("says in its ready line where everything is, on the documented ports", async () => {
    const http = (offset: number): string => `http://127.0.0.1:${fixture.base + offset}`;
    const mqtt = (offset: number): string => `mqtt://127.0.0.1:${fixture.base + offset}`;
    expect(fixture.ready).toEqual({
      ready: true,
      panel: http(0),
      regions: {
        "cn-east": { http: http(1), mqtt: mqtt(11) },
        "cn-west": { http: http(2), mqtt: mqtt(12) },
      },
      agent: { http: http(20), mqtt: mqtt(21), status: http(22) },
      token: expect.any(String) as string,
    });
    for (const url of [
      fixture.ready.panel,
      fixture.ready.agent.status,
      `${fixture.east}/readyz`,
      `${fixture.west}/metrics`,
    ])
      expect((await fetch(url)).status).toBe(200);
    const token = await readFile(join(fixture.dir, ".fleetmesh", "token"), "utf8");
    expect(token.trim()).toBe(fixture.ready.token);
  });

  it("has vehicles that drive", async () => {
    await until(async () => {
      const response = await fetch(`${fixture.east}/v1/ledger`, {
        headers: { authorization: `Bearer ${fixture.ready.token}` },
      });
      const { topics } = (await response.json()) as { topics: { fromAgents: number }[] };
      return topics.some(({ fromAgents }) => fromAgents > 0);
    });
  });
});

describe("curl", () => {
  const doors = [
    { door: "the edge door", url: () => fixture.ready.agent.http },
    { door: "the runtime", url: () => fixture.east },
  ];

  it.each(doors)(
    "publishes in binary, structured and batch mode to $door",
    async ({ url, door }) => {
      const topic = door === "the runtime" ? "curl.runtime" : "curl.edge";
      const to = `${url()}/v1/topics/${topic}/events`;
      const ce = ["ce-specversion: 1.0", "ce-id: binary", "ce-source: urn:curl", "ce-type: t"];
      const binary = ce.flatMap((header) => ["-H", header]);
      const sent = [
        await curl(to, [...fixture.bearer(), ...binary, "--json", '{"n":1.0}']),
        await curl(to, [
          ...fixture.bearer(),
          ...["-H", "content-type: application/cloudevents+json", "-d", eventText("structured")],
        ]),
        await curl(to, [
          ...[...fixture.bearer(), "-H", "content-type: application/cloudevents-batch+json"],
          ...["-d", `[${eventText("batch-1")},${eventText("batch-2")}]`],
        ]),
      ];
      expect(sent.map(({ stdout }) => stdout)).toEqual([
        '{"accepted":1}\n200 application/json',
        '{"accepted":1}\n200 application/json',
        '{"accepted":2}\n200 application/json',
      ]);
      const ids = ["binary", "structured", "batch-1", "batch-2"];
      await until(async () => (await fixture.storedIds(topic)).length === ids.length);
      expect(await fixture.storedIds(topic)).toEqual(ids);
    },
  );

  it.each(doors)("is told what is wrong by $door", async ({ url }) => {
    const to = `${url()}/v1/topics/curl.refused/events`;
    const body = ["-H", "content-type: application/cloudevents+json", "-d", eventText("a")];
    const problem = async (args: readonly string[], at = to): Promise<string[]> => {
      const [text = "", end = ""] = (await curl(at, args)).stdout.split("\n");
      const { code, status } = JSON.parse(text) as { code: string; status: number };
      return [end, code, String(status)];
    };
    const type = "application/problem+json";
    expect(await problem(body)).toEqual([`401 ${type}`, "MESH-3001", "401"]);
    expect(await problem([...fixture.bearer("nonsense"), ...body])).toEqual([
      `401 ${type}`,
      "MESH-3002",
      "401",
    ]);
    expect(
      await problem([
        ...fixture.bearer(),
        "-H",
        "content-type: application/cloudevents+xml",
        "-d",
        "x",
      ]),
    ).toEqual([`415 ${type}`, "MESH-1003", "415"]);
    expect(
      await problem([
        ...[...fixture.bearer(), "-H", "content-type: application/cloudevents+json", "-d", "{"],
      ]),
    ).toEqual([`400 ${type}`, "MESH-1001", "400"]);
    const nowhere = await problem([...fixture.bearer(), ...body], `${url()}/v1/nothing`);
    expect(nowhere).toEqual([`404 ${type}`, "MESH-5008", "404"]);
  });

  it("is told which topic is not there to read", async () => {
    const { stdout } = await curl(`${fixture.east}/v1/topics/no.such/events`, fixture.bearer());
    expect(stdout).toMatch(/"code":"MESH-5002".*\n404 application\/problem\+json$/s);
  });

  it("reaches a sink subscribed in cn-west with what it publishes in cn-east, in order, as it was", async () => {
    const topic = "curl.across";
    const body = JSON.stringify({ topic, sink: fixture.sink.url, protocol: "HTTP" });
    const created = await curl(`${fixture.west}/v1/subscriptions`, [
      ...fixture.bearer(),
      "--json",
      body,
    ]);
    expect(created.stdout).toMatch(/\n201 application\/json/);
    const ids = Array.from({ length: 20 }, (_, index) => `across-${index}`);
    for (const [index, id] of ids.entries()) {
      const door = index < 10 ? fixture.ready.agent.http : fixture.east;
      const { stdout } = await curl(`${door}/v1/topics/${topic}/events`, [
        ...[...fixture.bearer(), "-H", "content-type: application/cloudevents+json"],
        ...[
          "-d",
          `{"specversion":"1.0","id":"${id}","source":"urn:c","type":"t","data":{"b":1.50,"a":1e2}}`,
        ],
      ]);
      expect(stdout).toMatch(/^\{"accepted":1\}/);
      if (index === 9) await until(() => fixture.sink.ids.includes("across-9"));
    }
    await until(() => fixture.sink.ids.includes("across-19"));
    expect([...new Set(fixture.sink.ids)]).toEqual(ids);
    expect(fixture.sink.received[0]?.body).toContain('"data":{"b":1.50,"a":1e2}');
  });
});

describe("mosquitto_pub", () => {
  it("publishes at QoS 1 to the edge door and to the runtime", async (context) => {
    if (isMissing("mosquitto_pub")) context.skip("missing mosquitto-clients");
    for (const [port, id] of [
      [fixture.base + 21, "mosquitto-edge"],
      [fixture.base + 11, "mosquitto-runtime"],
    ] as const) {
      const login = ["-h", "127.0.0.1", "-p", String(port), "-u", "me", "-P", fixture.ready.token];
      const message = ["-q", "1", "-t", "events/foreign.mqtt", "-m", eventText(id)];
      expect(await run("mosquitto_pub", [...login, ...message])).toMatchObject({ code: 0 });
    }
    await until(async () => (await fixture.storedIds("foreign.mqtt")).length === 2);
  });

  it("is refused with a wrong token", async (context) => {
    if (isMissing("mosquitto_pub")) context.skip("missing mosquitto-clients");
    const login = ["-h", "127.0.0.1", "-p", String(fixture.base + 21), "-u", "me", "-P", "wrong"];
    const { code, stderr } = await run("mosquitto_pub", [
      ...[...login, "-q", "1", "-t", "events/foreign.mqtt", "-m", eventText("refused")],
    ]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/refused/i);
  });
});

describe("Python's own libraries", () => {
  const script = `
import http.client, json, socket, struct, sys
edge, mqtt, token = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
event = lambda id: json.dumps({"specversion":"1.0","id":id,"source":"urn:py","type":"t","data":{"city":"慕尼黑"}}, ensure_ascii=False).encode()
c = http.client.HTTPConnection("127.0.0.1", edge)
for n in range(3):
    c.request("POST", "/v1/topics/foreign.python/events", event("http-%d" % n), {"Authorization": "Bearer " + token, "Content-Type": "application/cloudevents+json; charset=utf-8"})
    r = c.getresponse(); print(r.status, r.read().decode())
def text(b): return struct.pack(">H", len(b)) + b
def packet(head, body):
    n, length = len(body), b""
    while True:
        n, digit = divmod(n, 128); length += bytes([digit | (128 if n else 0)])
        if not n: return bytes([head]) + length + body
s = socket.create_connection(("127.0.0.1", mqtt))
s.sendall(packet(0x10, text(b"MQTT") + bytes([4, 0xC2]) + struct.pack(">H", 30) + text(b"py") + text(b"me") + text(token.encode())))
def exactly(n):
    got = b""
    while len(got) < n: got += s.recv(n - len(got))
    return got
print("connack", exactly(4)[3])
s.sendall(packet(0x32, text(b"events/foreign.python") + struct.pack(">H", 7) + event("socket")))
print("puback", struct.unpack(">BBH", exactly(4)))
`;

  it("publish over HTTP and over a bare MQTT socket", async (context) => {
    if (isMissing("python3")) context.skip("missing python3");
    const args = [
      "-c",
      script,
      String(fixture.base + 20),
      String(fixture.base + 21),
      fixture.ready.token,
    ];
    expect(await run("python3", args)).toMatchObject({
      code: 0,
      stdout: `${'200 {"accepted":1}\n'.repeat(3)}connack 0\npuback (64, 2, 7)\n`,
    });
    const ids = ["http-0", "http-1", "http-2", "socket"];
    await until(async () => (await fixture.storedIds("foreign.python")).length === ids.length);
    expect(await fixture.storedIds("foreign.python")).toEqual(ids);
  });
});

describe("a second mesh dev", () => {
  it.each([
    ["the same ports", () => Promise.resolve(fixture.base)],
    ["other ports", freePortBase],
  ])(
    "on the same data directory and %s is told who has it, and changes nothing",
    async (_, portOf) => {
      const dataDir = join(fixture.dir, ".fleetmesh");
      const filesOf = () =>
        ["context.json", "signing-key.json", "token"].map((name) =>
          readFileSync(join(dataDir, name), "utf8"),
        );
      const before = filesOf();
      const args = ["--data-dir", dataDir, "--port-base", String(await portOf())];
      const { code, stdout, stderr } = await mesh(["dev", ...args, "--headless", "--json"]);
      const complaint = `MESH-4006 Another process (process ${fixture.dev.child.pid}) uses the store in ${dataDir}`;
      expect([code, stdout, stderr]).toEqual([6, "", expect.stringContaining(complaint)]);
      expect(filesOf()).toEqual(before);
      // The one that runs goes on: what it takes is stored, and a user in the folder reaches it.
      const id = `after-${args.at(-1)}`;
      const to = `${fixture.east}/v1/topics/second.mesh/events`;
      const header = ["-H", "content-type: application/cloudevents+json", "-d", eventText(id)];
      expect((await curl(to, [...fixture.bearer(), ...header])).stdout).toMatch(
        /^\{"accepted":1\}/,
      );
      expect(await fixture.storedIds("second.mesh")).toContain(id);
      const told = await mesh(["ledger", "--json"], { cwd: fixture.dir });
      expect([told.code, JSON.parse(told.stdout)]).toEqual([
        0,
        expect.objectContaining({ region: "cn-east" }),
      ]);
    },
  );

  it("on a port that is in use names the port", async () => {
    const other = await freePortBase();
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(other + 20, "127.0.0.1", resolve));
    const args = [
      "--data-dir",
      join(fixture.dir, "second"),
      "--port-base",
      String(other),
      "--headless",
    ];
    const { code, stderr } = await mesh(["dev", ...args]);
    holder.close();
    expect(code).toBe(6);
    expect(stderr).toContain(`MESH-8003 127.0.0.1:${other + 20} is in use`);
  });
});

describe("mesh dev, killed and started again", () => {
  it("goes on with what it held, and ends with 0 on SIGTERM", async () => {
    const ids = Array.from({ length: 200 }, (_, index) => `held-${index}`);
    const body = `[${ids.map(eventText).join(",")}]`;
    const batch = ["-H", "content-type: application/cloudevents-batch+json", "-d", body];
    const to = `${fixture.ready.agent.http}/v1/topics/held.topic/events`;
    expect((await curl(to, [...fixture.bearer(), ...batch])).stdout).toMatch(/^\{"accepted":200\}/);
    await fixture.dev.end("SIGKILL");
    fixture.dev = new DevProcess(fixture.args);
    expect(await fixture.dev.ready()).toEqual(fixture.ready);
    await until(async () => (await fixture.storedIds("held.topic")).length === ids.length);
    expect(await fixture.storedIds("held.topic")).toEqual(ids);
    expect((await fixture.storedIds("curl.edge")).length).toBe(4);
    const startMs = performance.now();
    expect(await fixture.dev.end("SIGTERM")).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(10_000);
    expect(fixture.dev.stderr).toBe("");
    expect(fixture.dev.lines).toHaveLength(1);
  });
});
