import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { createProgram } from "../../cli/src/program.ts";

const deploy = fileURLToPath(new URL("../../deploy", import.meta.url));
const files = readdirSync(deploy, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".yaml"))
  .sort();
const read = (file: string): Record<string, unknown> =>
  parse(readFileSync(join(deploy, file), "utf8")) as Record<string, unknown>;

describe("the sample configurations", () => {
  it.each(files)("%s is valid, as mesh lint sees it", async (file) => {
    await createProgram().parseAsync(["node", "mesh", "lint", join(deploy, file)]);
  });

  it("name the same regions for runtimes and bridge", () => {
    const runtimes = (folder: string): string[] =>
      files
        .filter((file) => file.startsWith(`${folder}/`) && !file.includes("regions.d"))
        .flatMap((file) => read(file)["region"] ?? [])
        .map(String);
    const bridge = read("two-regions/bridge.yaml")["regions"] as { name: string }[];
    expect(bridge.map(({ name }) => name)).toEqual(runtimes("two-regions"));
    const folder = files.filter((file) => file.startsWith("three-regions/regions.d/"));
    expect(folder.map((file) => read(file)["name"])).toEqual(runtimes("three-regions"));
    expect(runtimes("single-region")).toEqual(["cn-east"]);
  });
});
