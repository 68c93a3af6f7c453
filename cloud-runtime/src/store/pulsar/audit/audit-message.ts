import type { OutgoingMessage, ReceivedMessage } from "@fleetmesh/pulsar";
import { z } from "zod";
import { groupPlaceRecord } from "../../shared/group-place.ts";

/** Where regions ask each other for what they miss; what is asked is sent to its region alone. */
export const askTopic = "_mesh.asks";

const count = z.number().int().min(0);
const positive = z.number().int().min(1);

/** A stretch of a run as the origin's own log has it. */
const sealedRange = z.object({
  ...{ first: positive, last: positive },
  /** A place in the origin's topic before the first of them. */
  after: z.string(),
  /** How many of them the log has. */
  count,
  /** Left out when the origin had read them before a restart. */
  digest: z.string().optional(),
  /** Numbers that the log does not have: they were never stored. */
  absent: z.string().optional(),
  /** By region, what was not for it. */
  less: z.record(z.string(), z.object({ numbers: z.string(), digest: z.string().optional() })),
});

const sealedRun = z.object({
  run: positive,
  /** A place in the origin's topic before its first event. */
  start: z.string(),
  /** The last number that is sealed, by this seal or an earlier one. */
  last: count,
  /** By region, the first number that is for it. A region that is not named gets none of the run. */
  since: z.record(z.string(), positive),
  ranges: z.array(sealedRange),
});

const sealBody = z.object({ region: z.string(), runs: z.array(sealedRun) });
const ranges = { run: positive, numbers: z.string() };
/** One region asks another for what it misses of a topic. */
const askBody = z.object({
  ...{ ...ranges, region: z.string(), from: z.string(), topic: z.string(), after: z.string() },
});
/** What the origin has done about what it was asked for. */
const answerBody = z.object({
  ...{ ...ranges, region: z.string(), to: z.string() },
  /** They were never stored, or not for this region. */
  absent: z.string(),
  /** Its retention has taken them. */
  lost: z.string(),
});

/** Where consumer groups of a region are in this topic. */
const placesBody = z.object({
  region: z.string(),
  places: z.array(z.object({ subscription: z.string(), place: groupPlaceRecord })),
});

export type SealedRange = z.infer<typeof sealedRange>;
export type SealedRun = z.infer<typeof sealedRun>;
export type Seal = z.infer<typeof sealBody>;
export type Ask = z.infer<typeof askBody>;
export type Answer = z.infer<typeof answerBody>;
export type Places = z.infer<typeof placesBody>;

export type AuditMessage =
  | { readonly kind: "seal"; readonly body: Seal }
  | { readonly kind: "ask"; readonly body: Ask }
  | { readonly kind: "answer"; readonly body: Answer }
  | { readonly kind: "places"; readonly body: Places };

/** `to`: the regions that get it; undefined for all that the topic goes to. */
export function encodeAudit(
  { kind, body }: AuditMessage,
  to: readonly string[] | undefined,
): OutgoingMessage {
  const payload = Buffer.from(JSON.stringify(body));
  return { payload, properties: { meshaudit: kind }, replicateTo: to };
}

/** Undefined for what is none or does not read. */
export function decodeAudit({ properties, payload }: ReceivedMessage): AuditMessage | undefined {
  const kind = properties["meshaudit"];
  const body = kind === undefined ? undefined : json(payload);
  if (kind === "seal") return bodyOf(kind, sealBody.safeParse(body).data);
  if (kind === "ask") return bodyOf(kind, askBody.safeParse(body).data);
  if (kind === "answer") return bodyOf(kind, answerBody.safeParse(body).data);
  return kind === "places" ? bodyOf(kind, placesBody.safeParse(body).data) : undefined;
}

function bodyOf<Kind extends string, Body>(kind: Kind, body: Body | undefined) {
  return body === undefined ? undefined : { kind, body };
}

function json(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString());
  } catch {
    return undefined;
  }
}
