import { MeshError } from "@fleetmesh/core";

/** What the other side sent is not Pulsar's protocol: a fault on the way, or no Pulsar at all. The connection is not used again. */
export function protocolBroken(what: string, cause?: unknown): MeshError {
  return new MeshError("PULSAR_UNAVAILABLE", `The broker's bytes are not its protocol: ${what}`, {
    ...(cause === undefined ? {} : { cause }),
    hint: "Check that pulsar.url names a Pulsar broker's binary port (6650), not its web port.",
  });
}
