import { keepHeapSmall } from "@fleetmesh/core/base";

// An agent shares a small gateway with others. What a heap has grown to it keeps, so this comes before all that is loaded.
if (process.argv[2] === "run" && process.argv[3] === "edge") keepHeapSmall();

const { runCommand } = await import("./run-command.ts");
await runCommand(process.argv);
