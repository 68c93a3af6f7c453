import { MeshError, type Clock } from "@fleetmesh/core";
import { readTokenFile } from "./token-file.ts";

/** Asked at each use, as a token may be renewed. */
export type TokenSource = () => Promise<string>;

/** A token as a configuration gives it: itself, or the file that holds it. */
export interface TokenPlace {
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
}

/** Undefined when there is none. See readTokenFile for what the source promises. */
export function tokenSource(
  { token, tokenFile }: TokenPlace,
  clock: Clock,
): TokenSource | undefined {
  if (token !== undefined) return () => Promise.resolve(token);
  if (tokenFile === undefined) return undefined;
  return () => readTokenFile(tokenFile, clock);
}

/** For a connection: where there is no token now there may be one soon. Errors: PULSAR_UNAVAILABLE. */
export async function currentToken(source: TokenSource | undefined): Promise<string | undefined> {
  try {
    return await source?.();
  } catch (cause) {
    const { message } = MeshError.from(cause);
    throw new MeshError("PULSAR_UNAVAILABLE", `There is no token: ${message}`, { cause });
  }
}
