import { createLogger, seededChance, SimulatedClock, systemClock } from "@fleetmesh/core";
import { MemoryBuffer, SqliteBuffer, type BufferLimits } from "@fleetmesh/edge-agent";
import { testBufferRepeats } from "./buffer-repeats.contract.ts";
import { testBufferTopics } from "./buffer-topics.contract.ts";
import type { BufferUnderTest } from "./buffer-fixture.ts";
import { testBufferContract } from "./buffer.contract.ts";

const agentId = "agent-1";
const logger = createLogger({ part: "test", level: "silent" });

const memory: BufferUnderTest = {
  open: (_directory, limits) =>
    new MemoryBuffer({ agentId, limits, clock: new SimulatedClock(), chance: seededChance(1) }),
  reopen: (buffer) => {
    if (buffer instanceof MemoryBuffer) buffer.crash();
    return Promise.resolve(buffer);
  },
};
testBufferContract("memory", memory);
testBufferRepeats("memory", memory);
testBufferTopics("memory", memory);

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

const sqlite: BufferUnderTest = {
  open: openSqlite,
  reopen: async (buffer, directory, limits) => {
    await buffer.stop(AbortSignal.abort());
    return openSqlite(directory, limits);
  },
};
testBufferContract("sqlite", sqlite);
testBufferRepeats("sqlite", sqlite);
testBufferTopics("sqlite", sqlite);
