import { systemClock } from "@fleetmesh/core/base";
import type { HostMessage, ThreadRequest } from "./transform-message.ts";
import { TransformWorker } from "./transform-worker.ts";
import type { TransformLimits } from "./transform.ts";

/**
 * The main thread of a process for rules. It stays free while a rule is at work beside it: so it can end the rule, and itself when
 * the runtime is gone.
 */
const [, , limits = "{}"] = process.argv;
const worker = new TransformWorker(systemClock, JSON.parse(limits) as TransformLimits);
const tell = (message: HostMessage): void => void process.send?.(message);

process.on("disconnect", () => process.exit(0));
process.on("message", (request: ThreadRequest) => {
  void worker.run(request).then(tell);
});
tell({ kind: "ready" });
