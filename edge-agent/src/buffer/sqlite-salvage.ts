import { Worker } from "node:worker_threads";
import { errorFromData, MeshError, threadEntry, type ErrorData } from "@fleetmesh/core";
import type { QuarantineFolder } from "./quarantine.ts";
import type { SalvageReport } from "./salvage.ts";

export interface SalvageOutcome extends Partial<SalvageReport> {
  readonly agentId: string;
  readonly epoch: string;
}

type Message = { readonly report: SalvageOutcome } | { readonly error: ErrorData };

/**
 * Salvages one quarantined file on a thread of its own. Errors: BUFFER_DAMAGED when nothing of it can be read;
 * otherwise the disk's, and trying again goes on where it stopped. Aborting ends the thread at once.
 */
export function salvageQuarantined(
  folder: QuarantineFolder,
  signal: AbortSignal,
): Promise<SalvageOutcome> {
  const worker = new Worker(threadEntry(import.meta.url, "sqlite-salvage-thread"), {
    workerData: folder,
    execArgv: [],
    resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 },
  });
  const abort = (): void => void worker.terminate();
  signal.addEventListener("abort", abort, { once: true });
  return new Promise<SalvageOutcome>((resolve, reject) => {
    let message: Message | undefined;
    worker.on("message", (heard: Message) => {
      message = heard;
    });
    worker.on("error", reject);
    // Settled when the thread is gone, so that its files are closed.
    worker.on("exit", () => {
      if (message === undefined) reject(new MeshError("STOPPING", "The salvage was ended"));
      else if ("report" in message) resolve(message.report);
      else reject(errorFromData(message.error));
    });
  }).finally(() => signal.removeEventListener("abort", abort));
}
