import { readFileSync } from "node:fs";
import { MeshError } from "@fleetmesh/core";
import type { JwtAuthenticatorOptions } from "@fleetmesh/door";
import type { MqttTls } from "../uplink/mqtt-link.ts";
import type { EdgeAgentConfig } from "./edge-agent-config.ts";

type KeySet = JwtAuthenticatorOptions["keys"];

/** The public keys by which tokens are checked. Throws CONFIG_INVALID, CONFIG_UNREADABLE. */
export function readKeySet(auth: NonNullable<EdgeAgentConfig["auth"]>): KeySet {
  const given: unknown = auth.jwks ?? (auth.jwksFile === undefined ? {} : readJson(auth.jwksFile));
  if (typeof given === "object" && given !== null && "keys" in given && Array.isArray(given.keys)) {
    return { keys: given.keys as KeySet["keys"] };
  }
  throw new MeshError("CONFIG_INVALID", "auth: there are no keys to check tokens by", {
    hint: "Give auth.jwks or auth.jwksFile: a JSON Web Key Set with the public keys.",
  });
}

/** The uplink's token as it is now; undefined when none is configured, or its file cannot be read. */
export function readToken({ token, tokenFile }: EdgeAgentConfig["uplink"]): string | undefined {
  if (tokenFile === undefined) return token;
  try {
    return readFileSync(tokenFile, "utf8").trim();
  } catch {
    return undefined; // The region then says what it thinks of that; the file may be back at the next connection.
  }
}

export function readTls({ tls }: EdgeAgentConfig["uplink"]): MqttTls | undefined {
  if (tls === undefined) return undefined;
  return { ca: read(tls.caFile), cert: read(tls.certFile), key: read(tls.keyFile) };
}

function readJson(file: string): unknown {
  const text = read(file)?.toString("utf8") ?? "";
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new MeshError("CONFIG_INVALID", `${file} is not JSON`, { cause });
  }
}

function read(file: string | undefined): Buffer | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new MeshError("CONFIG_UNREADABLE", `Cannot read ${file}`, { cause });
  }
}
