import { createLogger, seededChance, SimulatedClock, systemClock } from "@fleetmesh/core";
import { MemoryBuffer, SqliteBuffer, type BufferLimits } from "@fleetmesh/edge-agent";
import { testBufferContract } from "./buffer.contract.ts";

const agentId = "agent-1";
const logger = createLogger({ part: "test", level: "silent" });

testBufferContract("memory", {
  open: (_directory, limits) =>
    new MemoryBuffer({ agentId, limits, clock: new SimulatedClock(), chance: seededChance(1) }),
  reopen: (buffer) => {
    if (buffer instanceof MemoryBuffer) buffer.crash();
    return Promise.resolve(buffer);
  },
});

let seed = 0;
const openSqlite = (directory: string, limits: BufferLimits): SqliteBuffer =>
  new SqliteBuffer({
    directory,
    agentId,
    limits,
    clock: systemClock,
    chance: seededChance((seed += 1)),
    logger,
    reserveBytes: 0,
  });

testBufferContract("sqlite", {
  open: openSqlite,
  reopen: async (buffer, directory, limits) => {
    await buffer.stop(AbortSignal.abort());
    return openSqlite(directory, limits);
  },
});
