import { strictObject } from "@fleetmesh/core";
import { z } from "zod";

const named = { name: z.string().min(1), url: z.url() };

/** What `mesh run panel --config FILE` reads. */
export const panelConfigSchema = strictObject({
  host: z.string().default("127.0.0.1"),
  port: z.int().min(0).max(65_535).default(8080),
  token: z.string().min(1).describe("Lets the panel read the regions' numbers."),
  regions: z.array(strictObject({ ...named, mqttUrl: z.string().optional() })).min(1),
  agents: z
    .array(strictObject(named))
    .default([])
    .describe("Status pages of edge agents that this panel can reach."),
});

export type PanelConfig = z.output<typeof panelConfigSchema>;
export type PanelConfigInput = z.input<typeof panelConfigSchema>;
