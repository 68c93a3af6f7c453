import { nearestName, strictObject } from "@fleetmesh/core";
import { z } from "zod";

const directWindow = z
  .int()
  .min(1_000)
  .default(100_000)
  .describe("How many direct events are remembered to recognise a resend.");

const nameGrammar = /^[\w.:=-]{1,64}$/;
const name = z.string().regex(nameGrammar, "use letters, digits and - _ . : =");
const file = z.string().min(1);

const address = (grammar: RegExp, example: string) =>
  z.string().regex(grammar, `write ${example}; several hosts with commas between`);

const sqlite = strictObject({ type: z.literal("sqlite").default("sqlite"), directWindow });
const memory = strictObject({ type: z.literal("memory"), directWindow });

const pulsarTls = strictObject({
  caFile: file
    .optional()
    .describe("PEM of the authority of the brokers' certificates; the system's without it."),
  certFile: file.optional().describe("PEM of an own certificate, where the brokers want one."),
  keyFile: file.optional(),
});

const pulsar = strictObject({
  type: z.literal("pulsar"),
  serviceUrl: address(/^pulsar(?:\+ssl)?:\/\/\S+$/, "pulsar://host:6650")
    .optional()
    .describe(
      "pulsar://host:6650 or pulsar+ssl://host:6651; several hosts with commas between. Only the WebSocket client does without.",
    ),
  adminUrl: address(/^https?:\/\/\S+$/, "http://host:8080").describe(
    "http://host:8080 or https://host:8443; several hosts with commas between.",
  ),
  tenant: name.default("fleetmesh"),
  namespace: name
    .default("mesh")
    .describe(
      "Made when it is not there and the role may. The same on all nodes of the region, and in all regions that replicate to each other: each has a cluster of its own.",
    ),
  client: z
    .enum(["auto", "binary", "websocket"])
    .default("auto")
    .describe("auto: the binary protocol when there is a serviceUrl, else Pulsar's WebSocket API."),
  token: z.string().min(1).optional(),
  tokenFile: file
    .optional()
    .describe("Read again at each connection: a renewed token needs no restart."),
  tls: pulsarTls.optional(),
  directWindow,
  auditMs: z
    .int()
    .min(100)
    .max(60_000)
    .default(1_000)
    .describe(
      "How often what went to other regions is sealed: what is missing there shows that much later.",
    ),
  auditGraceMs: z
    .int()
    .min(100)
    .max(3_600_000)
    .default(5_000)
    .describe(
      "How late an event of another region may be before it counts as missing and is asked for again. Longer than replication stalls by itself.",
    ),
}).superRefine((store, context) => {
  const problem = (path: string, message: string): void => {
    context.addIssue({ code: "custom", path: [path], message });
  };
  if (store.token !== undefined && store.tokenFile !== undefined)
    problem("tokenFile", "give token or tokenFile, not both");
  if (store.client === "binary" && store.serviceUrl === undefined)
    problem("client", "the binary client needs serviceUrl: pulsar://host:6650");
  if ((store.tls?.certFile === undefined) !== (store.tls?.keyFile === undefined))
    problem("tls", "certFile and keyFile go together");
});

const types = ["sqlite", "memory", "pulsar"] as const;

function unknownType(input: unknown): string {
  const given = typeof input === "object" && input !== null && "type" in input ? input.type : input;
  const near = nearestName(String(given), types);
  const expected = `expected one of ${types.map((type) => `"${type}"`).join(", ")}`;
  return near === undefined ? expected : `${expected} - did you mean "${near}"?`;
}

/** What a runtime keeps its events in. One file on this machine, a cluster of Pulsar, or nothing that lasts. */
export const storeConfigSchema = z.discriminatedUnion("type", [sqlite, memory, pulsar], {
  error: ({ input }) => unknownType(input),
});
