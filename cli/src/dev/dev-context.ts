import { join } from "node:path";
import { devContextFile } from "../context.ts";
import { writeFileDurably } from "../durable-file.ts";
import { httpUrl, type DevPlan } from "./dev-plan.ts";

/** Lets every `mesh` command in this folder speak to this mesh. */
export async function writeDevContext(
  { dataDir, regions, agent }: DevPlan,
  token: string,
): Promise<void> {
  const url = httpUrl(regions[0]?.httpPort ?? 0);
  const named = Object.fromEntries(regions.map(({ name, httpPort }) => [name, httpUrl(httpPort)]));
  const context = { url, token, regions: named, agents: [httpUrl(agent.adminPort)] };
  await writeFileDurably(join(dataDir, devContextFile), JSON.stringify(context));
}
