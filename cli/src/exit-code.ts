import type { MeshError } from "@fleetmesh/core";

/** What a script can tell from the exit code alone. */
export const exitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  configuration: 3,
  notAuthorised: 4,
  notFound: 5,
  conflict: 6,
  unreachable: 7,
  interrupted: 130,
} as const;

export function exitCodeOf(error: MeshError): number {
  if (error.kind === "USAGE") return exitCode.usage;
  if (error.kind === "CONFIG_INVALID" || error.kind === "CONFIG_UNREADABLE")
    return exitCode.configuration;
  if (error.kind === "UNREACHABLE") return exitCode.unreachable;
  switch (error.status) {
    case 401:
    case 403:
      return exitCode.notAuthorised;
    case 404:
      return exitCode.notFound;
    case 409:
      return exitCode.conflict;
    default:
      return exitCode.failed;
  }
}
