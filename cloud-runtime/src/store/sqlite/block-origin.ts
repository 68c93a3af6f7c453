import { classOfRank, MeshError } from "@fleetmesh/core";
import { z } from "zod";
import type { Origin } from "../event-store.ts";

const origin = z.object({
  region: z.string(),
  agentId: z.string().optional(),
  epoch: z.string().optional(),
  eventClass: z.enum(["critical", "normal", "bulk"]).optional(),
});
const agentMeta = z.object({ agentId: z.string(), epoch: z.string(), rank: z.number() });
const replicatedMeta = z.object({
  origins: z.array(origin),
  indexes: z.array(z.number()),
  positions: z.array(z.string()),
});
const anyMeta = z.union([agentMeta, replicatedMeta]);

/** Where the events of a stored block came from, by index: `meta` is null for a direct publisher's. Throws BLOCK_DAMAGED. */
export function originsOf(meta: string | null, region: string): (index: number) => Origin {
  if (meta === null) {
    const direct = { region };
    return () => direct;
  }
  const known = parseMeta(meta);
  if ("origins" in known) {
    const { origins, indexes, positions } = known;
    return (index) => ({
      ...(origins[indexes[index] ?? 0] ?? { region }),
      position: positions[index],
    });
  }
  const { agentId, epoch, rank } = known;
  const agent = { region, agentId, epoch, eventClass: classOfRank(rank) };
  return () => agent;
}

function parseMeta(meta: string): z.infer<typeof anyMeta> {
  try {
    return anyMeta.parse(JSON.parse(meta));
  } catch (cause) {
    throw new MeshError("BLOCK_DAMAGED", "Where a block's events came from does not read back", {
      cause,
    });
  }
}
