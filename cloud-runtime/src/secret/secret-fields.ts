/** What of a subscription, or of a body that is to become one, may hold secrets. */
export interface SecretHolder {
  readonly delivery?: { readonly signing?: object | undefined } | undefined;
  readonly sinkcredential?: object | undefined;
  readonly protocolsettings?: { readonly headers?: unknown; readonly tls?: unknown } | undefined;
  readonly consent?: object | undefined;
  readonly transform?: unknown;
}

/** What stands in the place of a secret: `path` names it, e.g. `delivery.signing.secret`. */
export type SecretChange = (text: string, path: string) => string;

/** Headers by names such as these carry secrets, whatever the subscriber thinks of them. */
const secretHeader = /auth|cookie|secret|token|key|passw|credential|signature|session/i;
/** Of a credential only these are told; a field that is not known is a secret. */
const openCredentialFields = new Set([
  "credentialtype",
  "identifier",
  "accesstokentype",
  "accesstokenexpiresutc",
  "refreshtokenendpoint",
  "tokenendpoint",
  "clientid",
  "clientauthentication",
  "scope",
  "audience",
  "headername",
]);

/**
 * The one place that knows where secrets are: a copy of the subscription in which each is replaced. Redaction, sealing and
 * the scrubbing of texts all go through it, so that a new kind of secret cannot be forgotten by one of them.
 */
export function mapSecrets<Holder extends SecretHolder>(of: Holder, change: SecretChange): Holder {
  const { delivery, sinkcredential, protocolsettings, consent, transform } = of;
  const copy: Holder = { ...of };
  if (delivery?.signing) {
    const signing = mapTexts(delivery.signing, "delivery.signing", () => change);
    Object.assign(copy, { delivery: { ...delivery, signing } });
  }
  if (sinkcredential) {
    const pick = (name: string) => (openCredentialFields.has(name) ? undefined : change);
    Object.assign(copy, { sinkcredential: mapTexts(sinkcredential, "sinkcredential", pick) });
  }
  if (protocolsettings)
    Object.assign(copy, { protocolsettings: mapSettings(protocolsettings, change) });
  if (consent) {
    const pick = (name: string) => (name === "key" ? change : undefined);
    Object.assign(copy, { consent: mapTexts(consent, "consent", pick) });
  }
  if (transform) Object.assign(copy, { transform: mapTransform(transform, "transform", change) });
  return copy;
}

/** The salt by which a projection hashes: of one step, or of each of a chain. */
function mapTransform(of: unknown, path: string, change: SecretChange): unknown {
  if (Array.isArray(of))
    return of.map((step: unknown, at) => mapTransform(step, `${path}.${at}`, change));
  if (!isObject(of) || !("project" in of) || !isObject(of.project)) return of;
  const { project } = of;
  if (!("hash" in project) || !isObject(project.hash)) return of;
  const pick = (name: string) => (name === "salt" ? change : undefined);
  const hash = mapTexts(project.hash, `${path}.project.hash`, pick);
  return { ...of, project: { ...project, hash } };
}

/** All secrets of a subscription. */
export function secretsOf(of: SecretHolder): string[] {
  const found: string[] = [];
  mapSecrets(of, (text) => {
    found.push(text);
    return text;
  });
  return found;
}

function mapSettings(
  settings: NonNullable<SecretHolder["protocolsettings"]>,
  change: SecretChange,
): object {
  const { headers, tls } = settings;
  const ofHeader = (name: string) => (secretHeader.test(name) ? change : undefined);
  const ofTls = (name: string) => (name === "privatekey" ? change : undefined);
  return {
    ...settings,
    ...(isObject(headers) && { headers: mapTexts(headers, "protocolsettings.headers", ofHeader) }),
    ...(isObject(tls) && { tls: mapTexts(tls, "protocolsettings.tls", ofTls) }),
  };
}

/** The texts of an object, and those in lists within it, by what `pick` says of their names. */
function mapTexts(
  of: object,
  path: string,
  pick: (name: string) => SecretChange | undefined,
): Record<string, unknown> {
  const entries = Object.entries(of).map(([name, value]: [string, unknown]) => {
    const change = pick(name);
    return [name, change ? mapText(value, `${path}.${name}`, change) : value] as const;
  });
  return Object.fromEntries(entries);
}

function mapText(value: unknown, path: string, change: SecretChange): unknown {
  if (typeof value === "string") return change(value, path);
  if (Array.isArray(value))
    return value.map((one: unknown, at) => mapText(one, `${path}.${at}`, change));
  return value;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
