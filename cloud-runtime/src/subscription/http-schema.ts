import { strictObject } from "@fleetmesh/core";
import { z } from "zod";

const visibleText = z.string().regex(/^[\t\x20-\x7e]*$/, "must be printable ASCII");
const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}$/, "is not a header name");

/** The connection's own headers and those that the mesh itself sets cannot be overridden. */
const reservedHeaders =
  /^(host|connection|content-length|content-type|transfer-encoding|keep-alive|upgrade|expect|te|trailer|proxy-.*|traceparent|tracestate|webhook-.*|mesh-.*)$/i;
const freeHeaderName = headerName.refine(
  (name) => !reservedHeaders.test(name),
  "is a header that only the mesh may set",
);
const pem = z.string().min(1).max(65_536);

/** `protocolsettings` of HTTP. */
export const httpSettings = strictObject({
  headers: z.record(freeHeaderName, visibleText.max(8_192)).optional(),
  method: z.enum(["POST", "PUT"]).optional(),
  /** The sink is asked for its consent first (CloudEvents webhook spec, 4), and for so many pushes a minute. */
  validation: strictObject({
    ratePerMinute: z.int().min(1).max(60_000_000).optional(),
  }).optional(),
  /** A certificate by which the sink knows us, and authorities that it is trusted by beside the well-known ones. */
  tls: strictObject({
    certificate: pem.optional(),
    privatekey: pem.optional(),
    authorities: pem.optional(),
  })
    .refine(
      ({ certificate, privatekey }) => (certificate === undefined) === (privatekey === undefined),
      "needs certificate and privatekey, or neither",
    )
    .optional(),
});

const secretText = z.string().min(1).max(8_192);
const plainText = z.string().min(1).max(2_000);
const tokenText = secretText.regex(/^[\x21-\x7e]*$/, "must be printable ASCII without spaces");
const endpoint = z
  .string()
  .max(4_000)
  .refine(isHttpUrl, "must be an http or https URL without credentials or fragment");
const client = { clientid: plainText, clientsecret: secretText };
const accessToken = {
  accesstoken: tokenText,
  accesstokenexpiresutc: z.iso.datetime({ offset: true }).optional(),
  accesstokentype: z.literal("bearer").optional(),
};

/** The shapes of the CloudEvents Subscriptions API, and what they lack: client credentials and API keys. */
export const sinkCredential = z.discriminatedUnion("credentialtype", [
  strictObject({
    credentialtype: z.literal("PLAIN"),
    // RFC 7617, 2: a colon would end the name.
    identifier: z
      .string()
      .max(1_000)
      .regex(/^[^\p{Cc}:]*$/u, "must have no colon and no control characters"),
    secret: secretText.regex(/^\P{Cc}*$/u, "must have no control characters"),
  }),
  strictObject({ credentialtype: z.literal("ACCESSTOKEN"), ...accessToken }),
  strictObject({
    credentialtype: z.literal("REFRESHTOKEN"),
    ...accessToken,
    accesstoken: tokenText.optional(),
    refreshtoken: secretText,
    refreshtokenendpoint: endpoint,
    clientid: plainText.optional(),
    clientsecret: secretText.optional(),
    clientauthentication: z.enum(["header", "body"]).optional(),
  }),
  strictObject({
    credentialtype: z.literal("CLIENTCREDENTIALS"),
    tokenendpoint: endpoint,
    ...client,
    scope: plainText.optional(),
    audience: plainText.optional(),
    clientauthentication: z.enum(["header", "body"]).optional(),
  }),
  strictObject({
    credentialtype: z.literal("APIKEY"),
    headername: freeHeaderName,
    apikey: secretText.pipe(visibleText),
  }),
]);

export function isHttpUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return (
    url !== undefined &&
    /^https?:$/.test(url.protocol) &&
    url.username + url.password === "" &&
    url.hash === ""
  );
}
