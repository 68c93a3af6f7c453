import { X509Certificate } from "node:crypto";
import { createSecureContext, rootCertificates, type SecureContext } from "node:tls";
import { MeshError } from "@fleetmesh/core";

/** `protocolsettings.tls`, each text in PEM. */
interface TlsSettings {
  readonly certificate?: string;
  readonly privatekey?: string;
  /** Trusted beside the well-known ones. */
  readonly authorities?: string;
}

/** Who we are to the sink, and whom we trust there. Throws SUBSCRIPTION_INVALID where the texts do not fit together. */
export function secureContextOf(
  settings: Readonly<Record<string, unknown>>,
): SecureContext | undefined {
  const tls = settings["tls"] as TlsSettings | undefined;
  if (!tls) return undefined;
  const { certificate: cert, privatekey: key, authorities } = tls;
  try {
    // A context takes a text without any certificate for an empty list.
    if (authorities !== undefined) new X509Certificate(authorities);
    return createSecureContext({
      minVersion: "TLSv1.2",
      ...(cert !== undefined && key !== undefined && { cert, key }),
      ...(authorities !== undefined && { ca: [...rootCertificates, authorities] }),
    });
  } catch (error) {
    // OpenSSL's own words name no content.
    const why = error instanceof Error && "code" in error ? ` (${String(error.code)})` : "";
    const text = `protocolsettings.tls: certificate, private key and authorities must be PEM and belong together${why}`;
    throw new MeshError("SUBSCRIPTION_INVALID", text);
  }
}
