import { readFileSync } from "node:fs";
import type { TlsOptions } from "node:tls";
import { MeshError } from "@fleetmesh/core";
import type { JwtAuthenticatorOptions } from "@fleetmesh/door";
import type { RuntimeConfig } from "./runtime-config.ts";

type KeySet = JwtAuthenticatorOptions["keys"];

/** The public keys by which tokens are checked. Throws CONFIG_INVALID when there are none. */
export function readKeySet(auth: RuntimeConfig["auth"]): KeySet {
  const given: unknown = auth.jwks ?? (auth.jwksFile === undefined ? {} : parse(auth.jwksFile));
  if (typeof given === "object" && given !== null && "keys" in given && Array.isArray(given.keys)) {
    if (given.keys.length > 0) return { keys: given.keys as KeySet["keys"] };
  }
  throw new MeshError("CONFIG_INVALID", "auth: there are no keys to check tokens by", {
    hint: "Give auth.jwks or auth.jwksFile: a JSON Web Key Set with the public keys.",
  });
}

export function readTls(tls: RuntimeConfig["mqtt"]["tls"]): TlsOptions | undefined {
  if (tls === undefined) return undefined;
  const client = { requestCert: tls.requireClientCert, rejectUnauthorized: tls.requireClientCert };
  const own = { cert: read(tls.certFile), key: read(tls.keyFile), minVersion: "TLSv1.2" } as const;
  return { ...own, ...client, ...(tls.caFile === undefined ? {} : { ca: read(tls.caFile) }) };
}

function parse(file: string): unknown {
  const text = read(file);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new MeshError("CONFIG_INVALID", `${file} is not JSON`, { cause });
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new MeshError("CONFIG_UNREADABLE", `Cannot read ${file}`, { cause });
  }
}
