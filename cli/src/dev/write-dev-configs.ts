import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { writeFileDurably } from "../durable-file.ts";
import { writeDevContext } from "./dev-context.ts";
import type { DevMesh } from "./dev-mesh.ts";

/** The mesh of `mesh dev` as files for `mesh run`: one process each. Returns the commands that run them. */
export async function writeDevConfigs(
  { configs, plan, token }: DevMesh,
  directory: string,
): Promise<string[]> {
  const files: [kind: string, name: string, config: unknown][] = [
    ...configs.runtimes.map((config): [string, string, unknown] => [
      "runtime",
      config.region,
      config,
    ]),
    ["edge", configs.agent.agentId, configs.agent],
    ["panel", "panel", configs.panel],
  ];
  if (configs.bridge !== undefined) files.push(["bridge", "bridge", configs.bridge]);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const [, name, config] of files)
    await writeFileDurably(join(directory, `${name}.yaml`), stringify(config));
  await writeDevContext(plan, token);
  return files.map(
    ([kind, name]) => `mesh run ${kind} --config ${join(directory, `${name}.yaml`)}`,
  );
}
