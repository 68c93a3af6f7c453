import { homedir } from "node:os";
import { join } from "node:path";

export const pulsarVersion = "4.0.8";

/** Where Pulsar is unpacked once for all checkouts and data directories. */
export const pulsarHome = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "fleetmesh",
  "servers",
  `pulsar-${pulsarVersion}`,
);
