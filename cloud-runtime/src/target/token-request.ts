import type { GuardedRequest } from "./guarded-request.ts";

/** The fields of a `sinkcredential` by which a token is fetched. */
export interface TokenCredential {
  readonly credentialtype: "CLIENTCREDENTIALS" | "REFRESHTOKEN";
  readonly tokenendpoint?: string | undefined;
  readonly refreshtokenendpoint?: string | undefined;
  readonly clientid?: string | undefined;
  readonly clientsecret?: string | undefined;
  readonly clientauthentication?: string | undefined;
  readonly scope?: string | undefined;
  readonly audience?: string | undefined;
  readonly refreshtoken?: string | undefined;
  readonly accesstoken?: string | undefined;
  readonly accesstokenexpiresutc?: string | undefined;
}

type Form = readonly (readonly [name: string, value: string | undefined])[];

/** The request for a token by RFC 6749: 4.4.2 with a client's own credentials, 6 with a refresh token. */
export function tokenRequestOf(credential: TokenCredential): Omit<GuardedRequest, "timeoutMs"> {
  const isRefresh = credential.credentialtype === "REFRESHTOKEN";
  const url = (isRefresh ? credential.refreshtokenendpoint : credential.tokenendpoint) ?? "";
  const isInHeader =
    credential.clientsecret !== undefined && credential.clientauthentication !== "body";
  const { clientid = "", clientsecret = "" } = credential;
  const body = textOf([...grantOf(credential), ...(isInHeader ? [] : clientOf(credential))]);
  const headers = {
    accept: "application/json",
    "content-type": "application/x-www-form-urlencoded",
    "content-length": String(body.length),
    ...(isInHeader && { authorization: basicOf(clientid, clientsecret) }),
  };
  return { method: "POST", url, headers, body };
}

function grantOf(credential: TokenCredential): Form {
  if (credential.credentialtype === "REFRESHTOKEN")
    return [
      ["grant_type", "refresh_token"],
      ["refresh_token", credential.refreshtoken],
    ];
  const { scope, audience } = credential;
  return [
    ["grant_type", "client_credentials"],
    ["scope", scope],
    ["audience", audience],
  ];
}

function clientOf({ clientid, clientsecret }: TokenCredential): Form {
  return [
    ["client_id", clientid],
    ["client_secret", clientsecret],
  ];
}

function textOf(form: Form): string {
  const given = new URLSearchParams();
  for (const [name, value] of form) if (value !== undefined) given.append(name, value);
  return given.toString();
}

/** Encoded as in a form first (RFC 6749, 2.3.1). */
function basicOf(id: string, secret: string): string {
  const encode = (text: string): string => new URLSearchParams([["", text]]).toString().slice(1);
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString("base64")}`;
}
