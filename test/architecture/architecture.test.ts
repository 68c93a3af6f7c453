import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { cloudPackages } from "./allowed.ts";
import * as code from "./code-rules.ts";
import { deadExports, deadFiles } from "./dead-code.ts";
import * as imports from "./import-rules.ts";
import { readProject } from "./project.ts";

const root = new URL("../..", import.meta.url).pathname;
const project = readProject(root);

interface Lock {
  readonly packages: Readonly<Record<string, { readonly dependencies?: Record<string, string> }>>;
}

/** Names of all packages that come along, by the lockfile; nested copies count as their name. */
function lockedClosure(names: Iterable<string>): ReadonlySet<string> {
  const lock = JSON.parse(readFileSync(`${root}package-lock.json`, "utf8")) as Lock;
  const found = new Set<string>();
  const waiting = [...names];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    for (const [path, entry] of Object.entries(lock.packages))
      if (path.endsWith(`node_modules/${name}`))
        waiting.push(...Object.keys(entry.dependencies ?? {}));
  }
  return found;
}

describe("The architecture", () => {
  it("is seen whole: every workspace has its package file and its entry", () => {
    const workspaces = [...project.packages.keys()].filter((folder) => folder !== ".");
    expect(workspaces).toContain("edge-agent");
    for (const folder of workspaces)
      expect(
        [`${folder}/src/index.ts`, `${folder}/src/main.ts`].some((path) => project.files.has(path)),
        folder,
      ).toBe(true);
  });

  it.each([
    [
      "imports run core <- door <- processes <- cli <- test, and never between processes",
      imports.dependencyDirection,
    ],
    ["a workspace is entered by its index only", imports.deepImports],
    ["drivers stay in files that carry their technology's name", imports.driverImports],
    ["every imported package is declared where it is imported", imports.declaredPackages],
    ["files are short", code.fileSize],
    ["functions are short", code.functionSize],
    ["functions take few parameters", code.parameterCount],
    ["nothing is any", code.noAny],
    ["nothing is asserted not to be null", code.noNonNull],
    ["nothing is exported without a name", code.noDefaultExport],
    ["files are named after their idea", code.fileNames],
    ["time, chance and environment come in by ports", code.noAmbient],
    ["no file is dead", deadFiles],
    ["no export is dead", deadExports],
  ] as const)("%s", (_, rule) => {
    expect(rule(project)).toEqual([]);
  });

  it("keeps the cloud's packages off the vehicle", () => {
    const installed = lockedClosure(imports.installedClosure(project, "edge-agent"));
    expect(installed).toContain("better-sqlite3");
    expect(cloudPackages.filter((name) => installed.has(name))).toEqual([]);
  });
});
