import { isTopicPattern, logLevels, strictObject } from "@fleetmesh/core";
import { z } from "zod";

const region = strictObject({
  name: z.string().min(1).max(64),
  url: z
    .url({ protocol: /^https?$/ })
    .describe("Base URL of the region's HTTP, e.g. https://cn-east.example:8081"),
  token: z
    .string()
    .min(1)
    .optional()
    .describe(
      "A region link's token of that region; in a file, it is read again whenever the region refuses the old one.",
    ),
  tokenFile: z.string().min(1).optional(),
});

/** Replicate what matches from some regions to others whether or not anybody subscribed there. */
const policy = strictObject({
  topic: z.string().refine(isTopicPattern, "is not a topic pattern"),
  from: z.array(z.string()).min(1).optional().describe("Where from; left out = from every region."),
  to: z.array(z.string()).min(1),
});

/** The bridge's configuration file. Topics that somebody subscribed to in another region need no policy. */
export const bridgeConfigSchema = strictObject({
  regions: z.array(region).min(2).max(64),
  topics: z.array(policy).default([]),
  http: strictObject({
    host: z.string().min(1).default("127.0.0.1"),
    port: z.int().min(0).max(65_535).default(8071),
  })
    .optional()
    .describe("The bridge's own /livez and /metrics; left out = none."),
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
  logLevel: z.enum(logLevels).default("info"),
}).superRefine((config, context) => {
  const names = config.regions.map(({ name }) => name);
  for (const [at, { name, token, tokenFile }] of config.regions.entries()) {
    const path = ["regions", at];
    if (names.indexOf(name) !== at) {
      context.addIssue({ code: "custom", path: [...path, "name"], message: "is named twice" });
    }
    if ((token === undefined) === (tokenFile === undefined)) {
      context.addIssue({ code: "custom", path, message: "give one of token and tokenFile" });
    }
  }
  for (const [at, { from, to }] of config.topics.entries()) {
    for (const name of [...(from ?? []), ...to]) {
      if (names.includes(name)) continue;
      const message = `"${name}" is not one of the regions`;
      context.addIssue({ code: "custom", path: ["topics", at], message });
    }
  }
});

export type BridgeConfig = z.output<typeof bridgeConfigSchema>;
export type BridgeConfigInput = z.input<typeof bridgeConfigSchema>;
