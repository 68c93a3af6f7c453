import { isTopicPattern, strictObject } from "@fleetmesh/core";
import { z } from "zod";
import { httpSettings, isHttpUrl, sinkCredential } from "./http-schema.ts";

const millis = (least: number, most: number): z.ZodInt => z.int().min(least).max(most);
const oneHourMs = 3_600_000;
const backoff = strictObject({
  initialMs: millis(1, oneHourMs).default(500),
  maxMs: millis(1, 24 * oneHourMs).default(600_000),
});

const signingSecret = z.string().min(1).max(200);
/** One secret, or several while receivers change from one to the next. */
const signing = strictObject({
  secret: signingSecret.optional(),
  secrets: z.array(signingSecret).min(1).max(4).optional(),
}).refine(
  ({ secret, secrets }) => (secret === undefined) !== (secrets === undefined),
  "must have either secret or secrets",
);

const delivery = strictObject({
  maxAttempts: z.int().min(1).max(200).default(30),
  backoff: backoff.prefault({}),
  timeoutMs: millis(100, 120_000).default(15_000),
  ratePerSecond: z.number().min(0.01).max(1_000_000).optional(),
  windowMax: z.int().min(1).max(1_024).default(32),
  ordered: z.boolean().default(true),
  signing: signing.optional(),
  whenBlocked: z.enum(["pause", "dead-letter"]).optional(),
});

const transformStep = z.record(z.string(), z.unknown());
/** One step or a chain; the steps themselves are checked where they are compiled. */
export const transformBody = z.union([transformStep, z.array(transformStep).min(1).max(10)]);

/** The body of POST and PUT /v1/subscriptions, with all defaults. */
export const subscriptionBody = strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "must be 1 to 100 letters, digits, . _ or -")
    .optional(),
  topic: z
    .string()
    .refine(isTopicPattern, "must be a topic or a topic pattern (* one segment, > the rest)"),
  consumergroup: z.string().min(1).max(200).default("default"),
  source: z.string().min(1).max(2_000).optional(),
  types: z.array(z.string().min(1).max(2_000)).min(1).max(1_000).optional(),
  filters: z.array(z.record(z.string(), z.unknown())).max(100).default([]),
  transform: transformBody.optional(),
  sink: z
    .string()
    .max(4_000)
    .refine(isHttpUrl, "must be an http or https URL without credentials or fragment"),
  protocol: z.literal("HTTP", "must be HTTP, the only protocol of this runtime").default("HTTP"),
  protocolsettings: httpSettings.default({}),
  sinkcredential: sinkCredential.optional(),
  delivery: delivery.prefault({}),
  /**
   * Where it begins in topics that exist already; later ones are always taken from their first event. `continue`: where the
   * subscription with this id was in another region.
   */
  start: z.enum(["latest", "earliest", "continue"]).default("latest"),
  /** Other regions are told where its group is, so that it can go on there. */
  replicated: z.boolean().default(false),
});

export type SubscriptionBody = z.output<typeof subscriptionBody>;
