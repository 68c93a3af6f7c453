import { isTopicPattern, logLevels, strictObject } from "@fleetmesh/core";
import { z } from "zod";
import { regionConfigSchema, type RegionConfig } from "./region-config.ts";

/** Replicate what matches from some regions to others whether or not anybody subscribed there. */
const policy = strictObject({
  topic: z.string().refine(isTopicPattern, "is not a topic pattern"),
  from: z.array(z.string()).min(1).optional().describe("Where from; left out = from every region."),
  to: z.array(z.string()).min(1),
});

/** The bridge's configuration file. Topics that somebody subscribed to in another region need no policy. */
export const bridgeConfigSchema = strictObject({
  regions: z.array(regionConfigSchema).max(64).default([]),
  regionsDir: z
    .string()
    .min(1)
    .optional()
    .describe(
      "A folder with one file for each further region, looked at while the bridge runs; see `mesh region join`.",
    ),
  topics: z.array(policy).default([]),
  http: strictObject({
    host: z.string().min(1).default("127.0.0.1"),
    port: z.int().min(0).max(65_535).default(8071),
    token: z.string().min(1).optional().describe("Lets in to /v1/links and /v1/regions."),
    tokenFile: z.string().min(1).optional(),
  })
    .optional()
    .describe("The bridge's own /livez, /metrics and status; left out = none."),
  pageEvents: z.int().min(1).max(5_000).default(1_000).describe("Events in one page, at most."),
  pollMs: z
    .int()
    .min(100)
    .max(60_000)
    .default(25_000)
    .describe("How long one question for news waits, milliseconds."),
  auditMs: z
    .int()
    .min(100)
    .default(60_000)
    .describe("How often both ends of a link are compared, milliseconds."),
  reconcileMs: z
    .int()
    .min(100)
    .max(600_000)
    .default(10_000)
    .describe("How often Pulsar's settings are compared with what is wanted, milliseconds."),
  graceMs: z
    .int()
    .min(0)
    .default(600_000)
    .describe(
      "How long a topic that nobody wants any more goes on being replicated, milliseconds.",
    ),
  logLevel: z.enum(logLevels).default("info"),
}).superRefine((config, context) => {
  const problem: Problem = (path, message) =>
    context.addIssue({ code: "custom", path: [...path], message });
  for (const [at, region] of config.regions.entries()) {
    for (const [key, message] of regionProblems(region, config.regions.slice(0, at)))
      problem(["regions", at, key], message);
  }
  if (config.http?.token !== undefined && config.http.tokenFile !== undefined)
    problem(["http"], "give token or tokenFile, not both");
  // With a folder, regions come and go.
  if (config.regionsDir === undefined) checkNames(config, problem);
});

type Problem = (path: readonly (string | number)[], message: string) => void;

function checkNames(
  {
    regions,
    topics,
  }: {
    readonly regions: readonly RegionConfig[];
    readonly topics: readonly z.output<typeof policy>[];
  },
  problem: Problem,
): void {
  if (regions.length < 2) problem(["regions"], "name two regions, or regionsDir");
  const names = regions.map(({ name }) => name);
  for (const [at, { from, to }] of topics.entries())
    for (const name of [...(from ?? []), ...to])
      if (!names.includes(name)) problem(["topics", at], `"${name}" is not one of the regions`);
}

export type BridgeConfig = z.output<typeof bridgeConfigSchema>;
export type BridgeConfigInput = z.input<typeof bridgeConfigSchema>;

/** What keeps a region from being one of the mesh beside these: the key that is wrong, and why. */
export function regionProblems(
  { name, pulsar }: RegionConfig,
  others: readonly RegionConfig[],
): [key: "name" | "pulsar", message: string][] {
  const problems: [key: "name" | "pulsar", message: string][] = [];
  if (others.some((other) => other.name === name)) problems.push(["name", "is named twice"]);
  for (const { pulsar: known } of others) {
    if (pulsar === undefined || known === undefined) continue;
    const isSamePlace = known.tenant === pulsar.tenant && known.namespace === pulsar.namespace;
    if (!isSamePlace)
      problems.push(["pulsar", "tenant and namespace differ from another region's"]);
  }
  return problems;
}
