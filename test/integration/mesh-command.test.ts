import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "./delivery-sink.ts";
import { curl, DevFixture } from "./dev-fixture.ts";
import { mesh, type Ran } from "./mesh-cli.ts";

let fixture: DevFixture;
beforeAll(async () => {
  fixture = await DevFixture.open();
});
afterAll(() => fixture.close());

describe("the mesh command", () => {
  it("publishes data, files, standard input and lines", async () => {
    const lines = '{"a":1}\n\n{"specversion":"1.0","id":"whole","source":"urn:x","type":"t"}\n';
    const ran = [
      await fixture.user(["publish", "cli.topic", '{"n":1}', "--id", "cli-1", "--subject", "s"]),
      await fixture.user(["publish", "cli.topic", "-", "--id", "cli-2"], "plain text"),
      await fixture.user(["publish", "cli.topic", "--jsonl"], lines),
    ];
    expect(ran.map(({ code, stdout }) => [code, stdout])).toEqual([
      [0, '{"accepted":1}\n'],
      [0, '{"accepted":1}\n'],
      [0, '{"accepted":2}\n'],
    ]);
    expect((await fixture.storedIds("cli.topic")).slice(0, 2)).toEqual(["cli-1", "cli-2"]);
  });

  it("publishes through the agent too", async () => {
    const ran = await fixture.user([
      "--url",
      fixture.ready.agent.http,
      "publish",
      "cli.edge",
      "1",
      "--id",
      "e",
    ]);
    expect(ran).toMatchObject({ code: 0, stdout: '{"accepted":1}\n' });
    await until(async () => (await fixture.storedIds("cli.edge")).length === 1);
  });

  it("tails what is stored", async () => {
    const tail = fixture.user(["tail", "cli.tail", "-n", "1"]);
    let published = 0;
    const publish = async (): Promise<void> => {
      published += 1;
      await fixture.user(["publish", "cli.tail", "true", "--id", `tail-${published}`]);
    };
    const { code, stdout } = await Promise.race([
      tail,
      (async (): Promise<Ran> => {
        for (;;) await publish();
      })(),
    ]);
    expect([code, (JSON.parse(stdout) as { data: boolean }).data]).toEqual([0, true]);
  });

  it("subscribes, lists, shows, pauses, resumes, tests and removes", async () => {
    const args = [
      "subscribe",
      "cli.sub",
      "--sink",
      fixture.sink.url,
      "--id",
      "mine",
      "--filter",
      "type=t",
    ];
    expect(await fixture.user(args)).toMatchObject({ code: 0 });
    expect(await fixture.user(args)).toMatchObject({ code: 6 });
    expect((await fixture.user(["subscription", "ls"])).stdout).toMatch(/mine +cli\.sub/);
    const listed = await fixture.user(["subscription", "ls", "--json"]);
    expect((JSON.parse(listed.stdout) as { id: string }[]).map(({ id }) => id)).toContain("mine");
    expect(await fixture.user(["subscription", "pause", "mine"])).toMatchObject({ code: 0 });
    const status = await fixture.user(["subscription", "status", "mine", "-o", "json"]);
    expect(JSON.parse(status.stdout)).toMatchObject({ state: "paused", lag: 0, deadLettered: 0 });
    for (const action of ["resume", "test", "get", "rm"])
      expect(await fixture.user(["subscription", action, "mine"])).toMatchObject({ code: 0 });
    expect(await fixture.user(["subscription", "get", "mine"])).toMatchObject({ code: 5 });
  });

  it("traces an event, shows the ledger and the dead letters", async () => {
    await fixture.user(["publish", "cli.trace", "1", "--id", "traced"]);
    const traced = await fixture.user(["trace", "traced"]);
    expect(traced.code).toBe(0);
    expect(JSON.parse(traced.stdout)).toMatchObject({
      traces: [{ outcome: "stored", topic: "cli.trace", event: { id: "traced" } }],
    });
    expect(await fixture.user(["trace", "nobody-knows"])).toMatchObject({ code: 5, stdout: "" });
    const ledger = await fixture.user(["ledger"]);
    expect(JSON.parse(ledger.stdout)).toMatchObject({ region: "cn-east", difference: 0 });
    expect(await fixture.user(["dead-letter", "ls"])).toMatchObject({
      code: 0,
      stdout: "nothing\n",
    });
    expect(await fixture.user(["dead-letter", "ls", "--json"])).toMatchObject({
      code: 0,
      stdout: "[]\n",
    });
  });

  it("lists, shows and redrives what a sink refused for good", async () => {
    fixture.sink.answer = ({ id }, response) =>
      response.writeHead(id === "unloved" ? 400 : 200).end();
    const delivery = { maxAttempts: 1 };
    const body = JSON.stringify({ id: "dlq", topic: "cli.dlq", sink: fixture.sink.url, delivery });
    await curl(`${fixture.east}/v1/subscriptions`, [...fixture.bearer(), "--json", body]);
    await fixture.user(["publish", "cli.dlq", "1", "--id", "unloved"]);
    const letters = async (): Promise<{ id: string; reason: string }[]> =>
      JSON.parse((await fixture.user(["dead-letter", "ls", "--json"])).stdout) as never;
    await until(async () => (await letters()).length === 1);
    const id = (await letters())[0]?.id ?? "";
    expect((await fixture.user(["dead-letter", "ls"])).stdout).toMatch(
      /dlq +cli\.dlq +.*400.*T.*Z/,
    );
    const shown = await fixture.user(["dead-letter", "show", id]);
    expect(JSON.parse(shown.stdout)).toMatchObject({ id, topic: "cli.dlq", event: { data: 1 } });
    expect(await fixture.user(["dead-letter", "show", "no-such-letter"])).toMatchObject({
      code: 5,
    });
    fixture.sink.answer = (_, response) => response.writeHead(200).end();
    const redriven = await fixture.user(["dead-letter", "redrive", id, "--json"]);
    expect(JSON.parse(redriven.stdout)).toEqual({ accepted: 1 });
    await until(async () => (await letters()).length === 0);
  });

  it("lints its own files and names line and column of what is wrong", async () => {
    const config = join(fixture.dir, "config");
    const written = await mesh(["dev", ...fixture.args, "--write-config", config]);
    expect(written.code).toBe(0);
    expect(written.stdout.split("\n")).toContain(
      `mesh run runtime --config ${join(config, "cn-east.yaml")}`,
    );
    const files = ["cn-east", "cn-west", "edge-1", "bridge", "panel"];
    const paths = files.map((name) => join(config, `${name}.yaml`));
    expect(await mesh(["lint", ...paths])).toMatchObject({ code: 0 });
    // Each is a process of its own: nothing differs but names and places.
    const [east = "", west = ""] = await Promise.all(
      paths.slice(0, 2).map((path) => readFile(path, "utf8")),
    );
    const keysOf = (text: string) => text.split("\n").map((line) => line.split(":")[0]);
    expect(keysOf(west)).toEqual(keysOf(east));
    expect(west).not.toContain("processMetrics: false");
    const wrong = join(fixture.dir, "wrong.yaml");
    const text = await readFile(join(config, "cn-east.yaml"), "utf8");
    await writeFile(wrong, text.replace("dataDir", "dataDri"));
    const linted = await mesh(["lint", wrong]);
    expect([linted.code, linted.stderr]).toEqual([3, expect.stringMatching(/2:1.*dataDir/s)]);
    expect(await mesh(["lint", join(fixture.dir, "absent.yaml")])).toMatchObject({ code: 3 });
  });

  it.each([
    ["no auth", "", "1:1: MESH-2001 auth: the doors need keys"],
    ["an auth without keys", "auth:\n  issuer: me\n", "3:1: MESH-2001 auth: the doors need keys"],
    [
      "an empty key set",
      "auth:\n  jwks:\n    keys: []\n",
      "5:5: MESH-2001 auth.jwks.keys: there are no",
    ],
    [
      "two key sets",
      "auth:\n  jwksFile: a.json\n  jwks: { keys: [{ kty: OKP }] }\n",
      "4:3: MESH-2001 auth.jwksFile: give jwks or jwksFile, not both",
    ],
  ])("lints and refuses to run a runtime with %s", async (_, auth, complaint) => {
    const file = join(fixture.dir, "keyless.yaml");
    await writeFile(file, `region: cn-east\ndataDir: ${join(fixture.dir, "keyless")}\n${auth}`);
    for (const args of [
      ["lint", file],
      ["run", "runtime", "--config", file],
    ]) {
      const { code, stderr } = await mesh(args);
      expect([code, stderr]).toEqual([3, expect.stringContaining(`${file}:${complaint}`)]);
    }
    expect(existsSync(join(fixture.dir, "keyless"))).toBe(false);
  });

  it("tells by its exit code what went wrong", async () => {
    const env = { MESH_URL: fixture.east };
    expect(await mesh(["ledger"], { env, cwd: tmpdir() })).toMatchObject({ code: 4 });
    expect(await fixture.user(["publish", "Not a topic", "1"])).toMatchObject({ code: 1 });
    expect(await fixture.user(["publish"])).toMatchObject({ code: 2 });
    expect(await fixture.user(["nonsense"])).toMatchObject({ code: 2 });
    expect(await fixture.user(["run", "nothing", "--config", "x"])).toMatchObject({ code: 2 });
    const away = await fixture.user(["--url", "http://127.0.0.1:1", "ledger"]);
    expect([away.code, away.stderr]).toEqual([7, expect.stringContaining("MESH-8002")]);
    const conflict = ["publish", "cli.conflict", "--id", "same", "--source", "urn:s"];
    expect(await fixture.user([...conflict, "1"])).toMatchObject({ code: 0 });
    expect(await fixture.user([...conflict, "2"])).toMatchObject({ code: 6 });
  });

  it("knows the mesh that runs in this folder", async () => {
    const published = await mesh(["publish", "cli.here", "1", "--id", "here"], {
      cwd: fixture.dir,
    });
    expect(published).toMatchObject({ code: 0, stderr: "" });
    const here = await mesh(["trace", "here"], { cwd: fixture.dir });
    expect(here.code).toBe(0);
    expect(JSON.parse(here.stdout)).toMatchObject({ traces: [{ region: "cn-east" }] });
    const unknown = await mesh(["trace", "nobody-knows"], { cwd: fixture.dir });
    expect(unknown).toMatchObject({ code: 5, stdout: "" });
  });
});
