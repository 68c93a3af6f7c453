import { strictObject } from "@fleetmesh/core";
import { z } from "zod";

const token = z.string().min(1).optional();
const tokenFile = z.string().min(1).optional();
const adminUrl = z
  .url({ protocol: /^https?$/ })
  .describe("Pulsar's web address, e.g. http://pulsar.east.example:8080");
const brokerUrl = z
  .string()
  .regex(/^pulsar(\+ssl)?:\/\/[^\s/]+$/, "use pulsar://host:6650 or pulsar+ssl://host:6651")
  .describe("Pulsar's broker address, pulsar:// or pulsar+ssl://");
const name = z.string().regex(/^[\w=:.-]{1,64}$/, "use letters, digits and - _ . : =");

const reach = strictObject({
  adminUrl,
  brokerUrl,
  token: token.describe("By which the other clusters' brokers come in."),
  tokenFile,
});

/** Where a region's Pulsar is. Regions that both have one replicate by Pulsar itself. */
const pulsar = strictObject({
  cluster: name.describe(
    "The cluster's own name (clusterName in broker.conf). It must be the region's: events name the regions that they go to.",
  ),
  adminUrl: z
    .string()
    .regex(/^https?:\/\/\S+$/, "write http://host:8080; several hosts with commas between")
    .describe("Pulsar's web address for the bridge; several with commas between, tried in turn."),
  brokerUrl,
  tenant: name
    .default("fleetmesh")
    .describe("The same in all regions, as Pulsar replicates by it."),
  namespace: name.default("mesh").describe("The same in all regions."),
  token: token.describe(
    "Of a role that administers the tenant; a superuser's to introduce clusters.",
  ),
  tokenFile,
  reach: reach
    .optional()
    .describe("How the other clusters' brokers reach this one; left out = at the addresses above."),
}).superRefine((given, context) => {
  for (const [path, at] of [[[], given] as const, [["reach"], given.reach] as const])
    if (at?.token !== undefined && at.tokenFile !== undefined)
      context.addIssue({
        code: "custom",
        path: [...path],
        message: "give token or tokenFile, not both",
      });
});

/** One region as the bridge reaches it: an item of `regions`, or a file of the folder `regionsDir`. */
export const regionConfigSchema = strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "use a-z, 0-9 and hyphens")
    .describe("As the region calls itself."),
  url: z
    .url({ protocol: /^https?$/ })
    .describe("Base URL of the region's HTTP, e.g. https://cn-east.example:8081"),
  token: token.describe(
    "A region link's token of that region; in a file, it is read again whenever the region refuses the old one.",
  ),
  tokenFile,
  pulsar: pulsar.optional(),
  receiveOnly: z
    .boolean()
    .default(false)
    .describe("Nothing goes out from it to other regions, whoever subscribes there."),
  leaving: z
    .boolean()
    .default(false)
    .describe("Replication from and to it is withdrawn; `mesh region leave` sets it."),
}).superRefine((region, context) => {
  if (region.pulsar !== undefined && region.pulsar.cluster !== region.name) {
    const message = `must be the region's name, "${region.name}"`;
    context.addIssue({ code: "custom", path: ["pulsar", "cluster"], message });
  }
  if ((region.token === undefined) !== (region.tokenFile === undefined)) return;
  context.addIssue({ code: "custom", path: [], message: "give one of token and tokenFile" });
});

export type RegionConfig = z.output<typeof regionConfigSchema>;
