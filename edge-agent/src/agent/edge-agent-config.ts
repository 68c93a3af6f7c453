import {
  eventClasses,
  isTopicPattern,
  logLevels,
  maxEventBytesDefault,
  maxEventBytesMost,
  strictObject,
} from "@fleetmesh/core";
import { z } from "zod";
import { repeatWindowDefault } from "../buffer/buffer-options.ts";
import { uplinkLimitsDefault } from "../uplink/uplink-limits.ts";

const mebibyte = 1024 * 1024;
const dayMs = 24 * 3_600_000;
/** A buffer in which the largest events do not fit side by side evicts one for each that comes. */
const eventsHeldMin = 4;
const path = z.string().min(1);
const durationMs = z.int().min(1).max(dayMs);

/** A listener on loopback; another address must be asked for by name. Port 0 = any that is free. */
const listener = (portDefault: number) =>
  strictObject({
    host: z.string().min(1).default("127.0.0.1"),
    port: z.int().min(0).max(65_535).default(portDefault),
  });

/** Public keys by which the doors check tokens, as a JWKS in place or in a file. */
const auth = strictObject({
  jwks: z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })) }).optional(),
  jwksFile: path.optional(),
  issuer: z.string().min(1).optional(),
  audience: z.string().min(1).optional(),
});

const buffer = strictObject({
  type: z
    .enum(["sqlite", "memory"])
    .default("sqlite")
    .describe("`memory` loses everything when the process ends: for simulations only."),
  bytesMax: z
    .int()
    .min(16 * mebibyte)
    .default(4 * 1024 * mebibyte)
    .describe("Bytes on the disk at most."),
  whenFull: z
    .enum(["evict-lowest-class", "reject"])
    .default("evict-lowest-class")
    .describe("What happens to a newcomer when it is full."),
  repeatWindow: z
    .int()
    .min(0)
    .max(200_000)
    .default(repeatWindowDefault)
    .describe(
      "Of so many last events one that is sent again (same topic, source and id) is known: not stored twice, or refused when its content differs. About 32 bytes of memory and of disk each; 0 = none is known.",
    ),
  ttlMs: strictObject({
    critical: z.int().min(1_000).optional(),
    normal: z.int().min(1_000).optional(),
    bulk: z.int().min(1_000).optional(),
  })
    .prefault({})
    .describe(
      "How long an event of a class has value; absent = for ever. `expirytime` of an event counts besides.",
    ),
});

/** The first pattern that matches a topic gives its class; without a match it is `normal`. */
const classRule = strictObject({
  topic: z.string().refine(isTopicPattern, "use a topic, with * for one segment or > for the rest"),
  class: z.enum(eventClasses),
});

const doors = strictObject({
  http: listener(8100).optional(),
  unix: strictObject({ path }).optional().describe("A unix socket with the same HTTP."),
  mqtt: listener(8101).optional(),
});

const tls = strictObject({
  caFile: path
    .optional()
    .describe("Certificates that the region's must be signed by; absent = the system's."),
  certFile: path.optional().describe("The agent's own, where the region asks for one."),
  keyFile: path.optional(),
});

const backoff = (initialMs: number, maxMs: number) =>
  strictObject({
    initialMs: durationMs.default(initialMs),
    maxMs: durationMs.default(maxMs),
  }).prefault({});

const standard = uplinkLimitsDefault;

const uplink = strictObject({
  url: z
    .string()
    .regex(/^mqtts?:\/\/[^/\s]+$/, "use mqtt://host:port or mqtts://host:port")
    .describe("Where the region is: mqtt://host:port or mqtts://host:port."),
  token: z.string().min(1).optional(),
  tokenFile: path.optional().describe("Read anew on each connection."),
  username: z.string().min(1).optional().describe("The user name; absent = the agent id."),
  tls: tls.optional(),
  keepaliveSeconds: z
    .int()
    .min(1)
    .max(3_600)
    .default(30)
    .describe(
      "A half-open connection is found within 1.5 times this; at least what an event of `maxEventBytes` takes at 64 KiB/s.",
    ),
  connectTimeoutMs: durationMs.default(10_000),
  batchBytesMax: z.int().min(1_024).max(mebibyte).default(standard.batchBytesMax),
  batchEventsMax: z.int().min(1).max(10_000).default(standard.batchEventsMax),
  lingerMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(standard.lingerMs)
    .describe(
      "How long a live event may wait for company; more makes the uplink cheaper and later.",
    ),
  windowBytesMax: z
    .int()
    .min(65_536)
    .max(64 * mebibyte)
    .default(standard.windowBytesMax),
  windowBatchesMax: z.int().min(1).max(256).default(standard.windowBatchesMax),
  roundTripTargetMs: durationMs.default(standard.roundTripTargetMs),
  takenTimeoutMs: durationMs.default(standard.takenTimeoutMs),
  ackTimeoutMs: durationMs.default(standard.ackTimeoutMs),
  reconnect: backoff(standard.reconnect.initialMs, standard.reconnect.maxMs),
  refusedRetry: backoff(standard.refusedRetry.initialMs, standard.refusedRetry.maxMs),
});

/** An edge agent's configuration file. Every key is checked; unknown ones are refused with the nearest name. */
export const edgeAgentConfigSchema = strictObject({
  agentId: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "use letters, digits, dots, hyphens, underscores")
    .describe("The agent's name in its region: its MQTT client id. Never two with one name."),
  dataDir: path.describe("Where the buffer is; one agent's own."),
  buffer: buffer.prefault({}),
  classes: z.array(classRule).max(1_000).default([]),
  maxEventBytes: z
    .int()
    .min(65_536)
    .max(maxEventBytesMost)
    .default(maxEventBytesDefault)
    .describe(
      "Of one event, the same at every door and in the region. The limits of messages and batches grow with it, and the time after which a silent connection is given up.",
    ),
  doors: doors.prefault({}).describe("What others may come in by; absent = in-process only."),
  auth: auth.optional(),
  uplink,
  admin: listener(8102)
    .optional()
    .describe(
      "The status page, metrics and probes, without a token: keep it on loopback. Absent = none.",
    ),
  logLevel: z.enum(logLevels).default("info"),
}).superRefine((config, context) => {
  for (const [path, message] of contradictions(config))
    context.addIssue({ code: "custom", path: [...path], message });
});

interface Checked {
  readonly doors: z.output<typeof doors>;
  readonly auth?: z.output<typeof auth> | undefined;
  readonly uplink: z.output<typeof uplink>;
  readonly buffer: z.output<typeof buffer>;
  readonly maxEventBytes: number;
}

/** What each key allows and all of them together do not. */
function* contradictions(config: Checked): Generator<[path: readonly string[], message: string]> {
  const { doors: open, auth: keys, uplink: to, buffer: kept, maxEventBytes } = config;
  const hasDoor = open.http ?? open.unix ?? open.mqtt;
  if (hasDoor !== undefined && keys?.jwks === undefined && keys?.jwksFile === undefined)
    yield [["auth"], "the doors need keys to check tokens by: auth.jwks or auth.jwksFile"];
  if (to.token !== undefined && to.tokenFile !== undefined)
    yield [["uplink", "token"], "give token or tokenFile, not both"];
  const bytesMin = eventsHeldMin * maxEventBytes;
  if (kept.bytesMax < bytesMin)
    yield [
      ["buffer", "bytesMax"],
      `must be at least ${bytesMin}: room for ${eventsHeldMin} events of maxEventBytes`,
    ];
}

export type EdgeAgentConfig = z.output<typeof edgeAgentConfigSchema>;
export type EdgeAgentConfigInput = z.input<typeof edgeAgentConfigSchema>;
