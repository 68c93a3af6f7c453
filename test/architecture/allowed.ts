/** Path (for an export: path#name) to the reason. Each must be needed, or the test fails. */
export type Exceptions = Readonly<Record<string, string>>;

const shared = ["core", "door"];

/** Which workspaces a workspace may import. The tests of the whole may import all. */
export const allowedImports: Readonly<Record<string, readonly string[]>> = {
  core: [],
  door: ["core"],
  pulsar: ["core"],
  "edge-agent": shared,
  "cloud-runtime": [...shared, "pulsar"],
  bridge: [...shared, "pulsar"],
  "control-panel": shared,
  simulator: shared,
  cli: [...shared, "edge-agent", "cloud-runtime", "bridge", "control-panel", "simulator"],
};

/** Entries of a workspace beside its index: specifier to file, each with its own line in package.json's exports. */
export const extraEntries: Readonly<Record<string, string>> = {
  "@fleetmesh/core/base": "core/src/base.ts",
};

/** Packages that speak to a disk, a broker or a server, and the technology that the importing file's name must begin with. */
export const drivers: Readonly<Record<string, readonly string[]>> = {
  "better-sqlite3": ["sqlite"],
  mqtt: ["mqtt"],
  "mqtt-packet": ["mqtt"],
  aedes: ["aedes", "mqtt"],
  "aedes-persistence": ["aedes", "mqtt"],
  mqemitter: ["aedes", "mqtt"],
  undici: ["http"],
  jose: ["jwt"],
  kafkajs: ["kafka"],
  "@platformatic/kafka": ["kafka"],
  "pulsar-client": ["native"],
  ws: ["websocket"],
  etcd3: ["etcd"],
  "rocketmq-client-nodejs": ["rocketmq"],
  soap: ["webservice"],
  nodemailer: ["email"],
  "node-rfc": ["sap-rfc"],
  kysely: ["database", "sqlite"],
};

/** The cloud's packages, which must never be installed on a vehicle. */
export const cloudPackages = [
  "fastify",
  "undici",
  "kafkajs",
  "pulsar-client",
  "@fleetmesh/pulsar",
  "etcd3",
  "soap",
  "nodemailer",
];

export const defaultExportFiles: ReadonlySet<string> = new Set(["vitest.config.ts"]);

export const driverFileExceptions: Exceptions = {
  "door/src/auth/issue-token.ts": "signs what jwt-authenticator verifies; named after its one act",
};

export const ambientExceptions: Exceptions = {
  "core/src/port/clock.ts": "the one place where the system's clock and timers are read",
  "core/src/port/chance.ts": "the one place where the system's randomness is read",
  "cli/src/run-until-signal.ts": "a handle that only keeps the process alive until a signal",
  "cli/src/dev/pulsar/pulsar-distribution.ts": "where the user's system keeps caches",
  "cli/src/context.ts": "the command's own configuration: the documented MESH_ variables",
};

export const publicExports: Exceptions = {};
