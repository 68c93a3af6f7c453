import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { parseConfig, readConfig, type ConfigProblem } from "../src/config/config.ts";
import { nearestName } from "../src/config/nearest-name.ts";
import { strictObject } from "../src/config/strict-object.ts";
import { refusal } from "./event-sample.ts";

const schema = strictObject({
  agentId: z.string().default("a"),
  buffer: strictObject({
    bytesMax: z.int().min(1).optional(),
    whenFull: z.enum(["reject", "evict-lowest-class"]).optional(),
  }).optional(),
  topics: z.array(strictObject({ name: z.string(), ttlSeconds: z.int().optional() })).optional(),
  auth: z
    .union([
      strictObject({ keyFile: z.string() }),
      strictObject({ url: z.string(), pin: z.string() }),
    ])
    .optional(),
});

function problemsOf(text: string): readonly ConfigProblem[] {
  const error = refusal(() => parseConfig(schema, text, "edge.yaml"));
  expect(error.kind).toBe("CONFIG_INVALID");
  return error.details["problems"] as readonly ConfigProblem[];
}

describe("Reading a configuration", () => {
  it("gives the checked value with defaults, also of an empty file", () => {
    expect(parseConfig(schema, "", "f")).toEqual({ agentId: "a" });
    expect(parseConfig(schema, "buffer: { bytesMax: 5 }", "f").buffer).toEqual({ bytesMax: 5 });
  });

  it("names an unknown key by line and column, with the nearest that exists", () => {
    expect(problemsOf("agentId: x\nbufer:\n  bytesMax: 1\n")).toEqual([
      {
        line: 2,
        column: 1,
        path: "bufer",
        message: 'unknown key "bufer" - did you mean "buffer"?',
      },
    ]);
  });

  it("finds unknown keys inside lists of objects", () => {
    const [problem] = problemsOf("topics:\n  - name: a\n  - name: b\n    ttlSecond: 5\n");
    expect(problem).toEqual({
      line: 4,
      column: 5,
      path: "topics.1.ttlSecond",
      message: 'unknown key "ttlSecond" - did you mean "ttlSeconds"?',
    });
  });

  it("names every problem at once, each as file:line:column in the message", () => {
    const text = "agentId: 5\nbuffer:\n  bytesMax: 0\n  whenFull: rejekt\nxyzzy: 1\n";
    const problems = problemsOf(text);
    expect(problems.map(({ line, column, path }) => [line, column, path])).toEqual(
      expect.arrayContaining([
        [1, 1, "agentId"],
        [3, 3, "buffer.bytesMax"],
        [4, 3, "buffer.whenFull"],
        [5, 1, "xyzzy"],
      ]),
    );
    const { message } = refusal(() => parseConfig(schema, text, "edge.yaml"));
    expect(message.split("\n")).toHaveLength(4);
    expect(message).toContain("edge.yaml:3:3: MESH-2001 buffer.bytesMax: ");
    expect(message).toContain('did you mean "reject"?');
    expect(message).toContain('unknown key "xyzzy"');
    expect(message).not.toContain('"xyzzy" -');
  });

  it("points at the item of a list that is wrong, and at the parent of a key that is missing", () => {
    expect(problemsOf("topics:\n  - name: a\n  - 5\n")[0]).toMatchObject({ line: 3, column: 5 });
    expect(problemsOf("topics:\n  - ttlSeconds: 5\n")[0]).toMatchObject({
      line: 2,
      column: 5,
      path: "topics.0.name",
    });
  });

  it("judges alternatives by the one that fits best", () => {
    expect(problemsOf("auth:\n  url: u\n  pinn: p\n")[0]?.path).toMatch(/^auth\./);
  });

  it("places a syntax error", () => {
    const [problem] = problemsOf("agentId: x\nbuffer: [1\n");
    expect(problem?.line).toBeGreaterThanOrEqual(2);
    expect(problemsOf("agentId: x\nagentId: y\n")[0]).toMatchObject({ line: 2, column: 1 });
  });

  it("refuses an alias without an anchor and a bomb of aliases", () => {
    expect(problemsOf("agentId: *nobody\n")).toHaveLength(1);
    const rows = ["a: &a [x,x,x,x,x,x,x,x,x]"];
    for (const name of "bcdefgh") {
      const before = String.fromCharCode(name.charCodeAt(0) - 1);
      rows.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(",")}]`);
    }
    expect(problemsOf(rows.join("\n"))).not.toHaveLength(0);
  });

  it("takes a list or a text for what it is: no configuration", () => {
    expect(problemsOf("- a\n")).toHaveLength(1);
    expect(problemsOf("hello\n")).toHaveLength(1);
  });
});

describe("A configuration file", () => {
  let folder = "";
  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "fleetmesh-config-"))));
  afterAll(() => rmSync(folder, { recursive: true }));

  it("is read, and its name is in the problems", () => {
    const file = join(folder, "a.yaml");
    writeFileSync(file, "agentId: car\n");
    expect(readConfig(schema, file).agentId).toBe("car");
    writeFileSync(file, "agent: car\n");
    expect(() => readConfig(schema, file)).toThrow(`${file}:1:1`);
  });

  it("that is not there is CONFIG_UNREADABLE", () => {
    expect(refusal(() => readConfig(schema, join(folder, "none"))).kind).toBe("CONFIG_UNREADABLE");
  });
});

describe("nearestName", () => {
  it.each([
    ["bufer", "buffer"],
    ["BUFFER", "buffer"],
    ["bfufer", "buffer"],
    ["byteMax", "bytesMax"],
    ["zzzzzz", undefined],
    ["", undefined],
  ])("of %j is %j", (given, near) => {
    expect(nearestName(given, ["buffer", "bytesMax", "uplink"])).toBe(near);
  });
});
