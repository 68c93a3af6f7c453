import { stopDeadlineMsDefault, type Part } from "@fleetmesh/core";
import { exitCode } from "./exit-code.ts";

/** Starts the part, says so, and stops it on the first SIGINT or SIGTERM, also while it starts. A second signal ends the process at once. */
export async function runUntilSignal(part: Part, onReady: () => void): Promise<void> {
  const signalled = new Promise<void>((resolve) => {
    let count = 0;
    const onSignal = (): void => {
      count += 1;
      if (count > 1) process.exit(exitCode.interrupted);
      resolve();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
  // Also while it starts: no wait of a part keeps a process alive.
  const keepAlive = setInterval(() => undefined, 2 ** 30);
  const starting = part.start();
  starting.catch(() => clearInterval(keepAlive));
  const isUp = await Promise.race([starting.then(() => true), signalled.then(() => false)]);
  if (!isUp) {
    await part.stop(AbortSignal.timeout(stopDeadlineMsDefault));
    process.exit(exitCode.ok);
  }
  onReady();
  await signalled;
  clearInterval(keepAlive);
  await part.stop(AbortSignal.timeout(stopDeadlineMsDefault));
  process.exit(exitCode.ok);
}
