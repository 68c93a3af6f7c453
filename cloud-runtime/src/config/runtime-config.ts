import { logLevels, maxEventBytesDefault, maxEventBytesMost, strictObject } from "@fleetmesh/core";
import { z } from "zod";
import { isNetwork } from "../target/address-guard.ts";
import { storeConfigSchema } from "./store-config.ts";

const port = z.int().min(0).max(65_535);
const bytes = z.int().min(1);
const mebibyte = 1024 * 1024;
const dayMs = 24 * 3_600_000;

/** A listener: all of this machine's own addresses must be asked for by name. */
const listener = (portDefault: number) =>
  strictObject({
    host: z.string().min(1).default("127.0.0.1"),
    port: port.default(portDefault),
  });

const tls = strictObject({
  certFile: z.string().min(1),
  keyFile: z.string().min(1),
  caFile: z
    .string()
    .min(1)
    .optional()
    .describe("Client certificates must be signed by one of these."),
  requireClientCert: z.boolean().default(false),
});

/** Public keys by which tokens are checked, as a JWKS in place or in a file. Without one nobody could come in: not a start. */
const auth = strictObject({
  jwks: z
    .looseObject({
      keys: z
        .array(z.looseObject({ kty: z.string() }))
        .min(1, "there are no keys: nobody could come in"),
    })
    .optional(),
  jwksFile: z.string().min(1).optional(),
  issuer: z.string().min(1).optional(),
  audience: z.string().min(1).optional(),
}).superRefine(({ jwks, jwksFile }, context) => {
  if ((jwks === undefined) !== (jwksFile === undefined)) return;
  const message =
    jwks === undefined
      ? "the doors need keys to check tokens by: auth.jwks or auth.jwksFile"
      : "give jwks or jwksFile, not both";
  context.addIssue({ code: "custom", path: jwks === undefined ? [] : ["jwksFile"], message });
});

const limits = strictObject({
  maxEventBytes: bytes
    .min(65_536)
    .max(maxEventBytesMost)
    .default(maxEventBytesDefault)
    .describe(
      "Of one event, as `eventByteSize` counts; the same at every door, and at the edge agents. The limits of messages and batches grow with it.",
    ),
  agentInFlightBytes: bytes
    .default(64 * mebibyte)
    .describe("Received from agents and not yet durable."),
  directInFlightBytes: bytes
    .default(64 * mebibyte)
    .describe("Received from direct publishers and not yet durable."),
  agentMessageBytes: bytes
    .default(2 * mebibyte)
    .describe("One message of an agent as it comes; at least what one event takes."),
  agentMessageUnpackedBytes: bytes.default(16 * mebibyte).describe("The same unpacked."),
  connectionsPerHost: z
    .int()
    .min(1)
    .max(65_535)
    .default(1_024)
    .describe("To one host and port that is pushed to, shared out evenly among subscriptions."),
  streamClients: z.int().min(1).default(500),
});

const retention = strictObject({
  ms: z
    .int()
    .min(60_000)
    .default(7 * dayMs),
  bytes: bytes.min(mebibyte).default(10 * 1024 * mebibyte),
});

/** A regional runtime's configuration file. Every key is checked; unknown ones are refused with the nearest name. */
export const runtimeConfigSchema = strictObject({
  region: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "use a-z, 0-9 and hyphens"),
  dataDir: z.string().min(1),
  http: listener(8081).prefault({}),
  mqtt: listener(8091).extend({ tls: tls.optional() }).prefault({}),
  auth: auth.prefault({}),
  limits: limits.prefault({}),
  retention: retention.prefault({}),
  store: storeConfigSchema.prefault({}),
  secrets: strictObject({
    keyFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        "Keys that the secrets of subscriptions are sealed with at rest, one a line, the last one seals. When left out, `secrets.key` in the data directory, made at the first start.",
      ),
  }).prefault({}),
  webhooks: strictObject({
    origin: z
      .string()
      .regex(/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/, "must be a DNS name")
      .optional()
      .describe("WebHook-Request-Origin of the validation handshake. Default `REGION.fleetmesh`."),
    callbackUrl: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe(
        "Where sinks reach this runtime's HTTP port, so that they can consent later; without it they cannot.",
      ),
  }).prefault({}),
  autoCreateTopics: z
    .boolean()
    .default(false)
    .describe(
      "A topic that is published or subscribed to comes into being by itself: for development.",
    ),
  allowPrivateSinks: z
    .boolean()
    .default(false)
    .describe("Pushes may go to loopback and private addresses: for development."),
  allowSinkNetworks: z
    .array(z.string().refine(isNetwork, "must be a network such as 10.20.0.0/16 or fd00:1::/64"))
    .default([])
    .describe("Networks that pushes may go to although they are not public."),
  processMetrics: z.boolean().default(true).describe("Node's own process numbers in /metrics."),
  logLevel: z.enum(logLevels).default("info"),
});

export type RuntimeConfig = z.output<typeof runtimeConfigSchema>;
export type RuntimeConfigInput = z.input<typeof runtimeConfigSchema>;
