import { describe, expect, it } from "vitest";
import * as code from "./code-rules.ts";
import { deadExports, deadFiles } from "./dead-code.ts";
import * as imports from "./import-rules.ts";
import { projectOf, type Project, type Violation } from "./project.ts";

/** A project of all workspaces, empty but for the given files. */
function projectWith(texts: Readonly<Record<string, string>>): Project {
  const names = ["core", "door", "edge-agent", "cloud-runtime", "cli"];
  const packages = Object.fromEntries(
    names.map((name) => [
      `${name}/package.json`,
      JSON.stringify({ name: `@fleetmesh/${name}`, dependencies: { zod: "4" } }),
    ]),
  );
  const root = JSON.stringify({ name: "fleetmesh", devDependencies: { vitest: "4" } });
  return projectOf({ "package.json": root, ...packages, ...texts });
}

interface Case {
  readonly rule: (project: Project) => readonly Violation[];
  readonly bad: Readonly<Record<string, string>>;
  readonly says: readonly string[];
  readonly good: Readonly<Record<string, string>>;
}

const noExceptions = {};
const longFunction = `export function long(): void {\n${"  void 0;\n".repeat(60)}}\n`;
const fits = `export function fits(): void {\n${"  void 0;\n".repeat(58)}}\n`;

const cases: Readonly<Record<string, Case>> = {
  "a shared part that imports a process": {
    rule: imports.dependencyDirection,
    bad: { "core/src/a.ts": '\nimport { x } from "@fleetmesh/door";' },
    says: ["core/src/a.ts:2: core must not import door"],
    good: { "door/src/a.ts": 'import { x } from "@fleetmesh/core";' },
  },
  "a process that imports another": {
    rule: imports.dependencyDirection,
    bad: { "edge-agent/src/a.ts": 'export * from "@fleetmesh/cloud-runtime";' },
    says: ["edge-agent must not import cloud-runtime"],
    good: { "cli/src/a.ts": 'export * from "@fleetmesh/cloud-runtime";' },
  },
  "a process that imports another as a type or on first use": {
    rule: imports.dependencyDirection,
    bad: {
      "edge-agent/src/a.ts":
        'type A = import("@fleetmesh/cli").A;\nconst b = await import("@fleetmesh/cli");',
    },
    says: ["a.ts:1: edge-agent must not import cli", "a.ts:2: edge-agent must not import cli"],
    good: { "test/simulation/a.ts": 'import "@fleetmesh/cli";' },
  },
  "a relative import that leaves its workspace or hides the ending": {
    rule: imports.dependencyDirection,
    bad: { "door/src/a.ts": 'import "../../core/src/b.ts";\nimport "./c.js";' },
    says: ["a.ts:1: ../../core/src/b.ts leaves", "a.ts:2: ./c.js must end in .ts"],
    good: { "door/test/a.test.ts": 'import "../src/b.ts";' },
  },
  "its own package by name": {
    rule: imports.dependencyDirection,
    bad: { "door/src/a.ts": 'import "@fleetmesh/door";' },
    says: ["import your own files by relative path"],
    good: {},
  },
  "a deep import": {
    rule: imports.deepImports,
    bad: { "door/src/a.ts": 'import "@fleetmesh/core/src/event/event.ts";' },
    says: ["reaches into @fleetmesh/core"],
    good: { "door/src/a.ts": 'import "ajv/dist/2020";' },
  },
  "a driver outside a file of its technology": {
    rule: (project) => imports.driverImports(project, noExceptions),
    bad: { "edge-agent/src/buffer/buffer.ts": 'import type D from "better-sqlite3";' },
    says: ["buffer.ts:1: only sqlite-<kind>.ts may import the driver better-sqlite3"],
    good: {
      "edge-agent/src/buffer/sqlite-buffer-thread.ts": 'import D from "better-sqlite3";',
      "edge-agent/src/uplink/mqtt-link.ts": 'import m from "mqtt";',
      "edge-agent/test/a.test.ts": 'import m from "mqtt";',
    },
  },
  "an exception for a driver that nobody needs": {
    rule: (project) => imports.driverImports(project, { "door/src/a.ts": "once" }),
    bad: { "door/src/a.ts": "" },
    says: ["driverFileExceptions no longer needs door/src/a.ts"],
    good: { "door/src/a.ts": 'import "jose";' },
  },
  "a package that is not declared, or a builtin without node:": {
    rule: imports.declaredPackages,
    bad: { "core/src/a.ts": 'import { z } from "zod";\nimport "vitest";\nimport "fs";' },
    says: ["a.ts:2: vitest is not in core/package.json", "a.ts:3: write node:fs"],
    good: { "core/test/a.test.ts": 'import "vitest";\nimport "zod";\nimport "node:fs/promises";' },
  },
  "a long file": {
    rule: code.fileSize,
    bad: { "core/src/a.ts": "// line\n".repeat(401) },
    says: ["core/src/a.ts:1: 401 lines"],
    good: { "core/src/a.ts": "// line\n".repeat(400) },
  },
  "a long function": {
    rule: code.functionSize,
    bad: { "core/src/a.ts": `\n${longFunction}` },
    says: ["core/src/a.ts:2: a function of 62 lines"],
    good: { "core/src/a.ts": fits, "core/test/a.test.ts": longFunction },
  },
  "many parameters": {
    rule: code.parameterCount,
    bad: { "core/src/a.ts": "class A { m(a: 1, b: 2, c: 3, d: 4) {} }" },
    says: ["4 parameters"],
    good: { "core/src/a.ts": "const f = (a: 1, b: 2, c: 3) => a;" },
  },
  any: {
    rule: code.noAny,
    bad: { "core/src/a.ts": "let a: any;\nlet b = a as any[];" },
    says: ["a.ts:1: no any", "a.ts:2: no any"],
    good: { "core/src/a.ts": 'let any: unknown = "any";' },
  },
  "a non-null assertion": {
    rule: code.noNonNull,
    bad: { "core/src/a.ts": "f(a!.b);\nclass C { d!: string }" },
    says: ['a.ts:1: no "!"', 'a.ts:2: no "!"'],
    good: { "core/src/a.ts": "const a = !b;" },
  },
  "a default export": {
    rule: code.noDefaultExport,
    bad: {
      "core/src/a.ts": "export default 1;",
      "core/src/b.ts": "export default class {}",
      "core/src/c.ts": "export { a as default };",
    },
    says: ["a.ts:1: no default", "b.ts:1: no default", "c.ts:1: no default"],
    good: { "vitest.config.ts": "export default {};", "core/src/a.ts": "export const a = 1;" },
  },
  "a vague or unconventional file name": {
    rule: code.fileNames,
    bad: {
      "core/src/time-utils.ts": "",
      "core/src/eventManager.ts": "",
      "core/test/helpers.ts": "",
    },
    says: ['"utils" says nothing', "kebab-case", '"helpers" says nothing'],
    good: { "core/src/time.ts": "", "core/src/sqlite-store.ts": "" },
  },
  "ambient time, chance and environment": {
    rule: (project) => code.noAmbient(project, noExceptions),
    bad: {
      "core/src/a.ts":
        "Date.now();\nMath.random();\nsetTimeout(f, 1);\nsetInterval(f, 1);\nprocess.env.A;\nnew Date();",
    },
    says: ["Date.now", "Math.random", "setTimeout", "setInterval", "process.env", "new Date()"],
    good: {
      "core/src/a.ts": 'clock.setTimer(1, f);\nnew Date(1);\n"Date.now()";',
      "core/test/a.test.ts": "Date.now();",
    },
  },
  "an exception for ambient time that nobody needs": {
    rule: (project) => code.noAmbient(project, { "core/src/a.ts": "once" }),
    bad: { "core/src/a.ts": "" },
    says: ["ambientExceptions no longer needs core/src/a.ts"],
    good: { "core/src/a.ts": "Date.now();" },
  },
  "a dead file": {
    rule: deadFiles,
    bad: {
      "core/src/index.ts": 'export * from "./a.ts";',
      "core/src/a.ts": "",
      "core/src/b.ts": "",
    },
    says: ["core/src/b.ts:1: nothing leads to this file"],
    good: {
      "core/src/index.ts": 'import "./a.ts";\nthreadEntry(import.meta.url, "x-thread");',
      "core/src/a.ts": 'await import("./b.ts");',
      "core/src/b.ts": "",
      "core/src/x-thread.ts": "",
      "core/test/c.test.ts": 'import "./sample.ts";',
      "core/test/sample.ts": "",
    },
  },
  "a thread file that nobody starts": {
    rule: deadFiles,
    bad: { "core/src/x-thread.ts": "" },
    says: ["core/src/x-thread.ts:1: nothing leads"],
    good: {},
  },
  "a dead export": {
    rule: (project) => deadExports(project, noExceptions),
    bad: {
      "core/src/index.ts": 'export * from "./a.ts";\nexport { b as c } from "./b.ts";',
      "core/src/a.ts": "export const used = 1;\nexport const dead = used;\nexport type Dead = 1;",
      "core/src/b.ts": "\nexport class b {}",
      "door/src/index.ts": 'import { used } from "@fleetmesh/core";',
    },
    says: [
      "core/src/a.ts:2: nobody imports dead",
      "core/src/a.ts:3: nobody imports Dead",
      "core/src/b.ts:2: nobody imports b",
    ],
    good: {
      "core/src/index.ts": 'export * from "./a.ts";\nexport { b as c } from "./b.ts";',
      "core/src/a.ts": "export interface Options {}\nexport function f(options: Options) {}",
      "core/src/b.ts": "export class b {}",
      "door/src/index.ts": 'import { f, c } from "@fleetmesh/core";',
    },
  },
  "an allowance for a public export that is used now": {
    rule: (project) => deadExports(project, { "core/src/index.ts#a": "public" }),
    bad: {
      "core/src/index.ts": "export const a = 1;",
      "door/src/b.ts": 'import { a } from "@fleetmesh/core";',
    },
    says: ["publicExports no longer needs core/src/index.ts#a"],
    good: { "core/src/index.ts": "export const a = 1;" },
  },
};

describe("The rules of the architecture", () => {
  it.each(Object.entries(cases))("find %s, with its place", (_, { rule, bad, says }) => {
    const violations = rule(projectWith(bad));
    expect(violations).toHaveLength(says.length);
    says.forEach((text, index) => expect(violations[index]).toContain(text));
  });

  it.each(Object.entries(cases))("leave in peace what is not %s", (_, { rule, good }) => {
    expect(rule(projectWith(good))).toEqual([]);
  });

  it("follow workspace dependencies when they list what a part installs", () => {
    const project = projectOf({
      "package.json": "{}",
      "edge-agent/package.json": '{"name":"@f/edge","dependencies":{"@f/door":"1","mqtt":"5"}}',
      "door/package.json": '{"name":"@f/door","dependencies":{"fastify":"5"}}',
    });
    expect([...imports.installedClosure(project, "edge-agent")].sort()).toEqual([
      "@f/door",
      "fastify",
      "mqtt",
    ]);
  });
});
