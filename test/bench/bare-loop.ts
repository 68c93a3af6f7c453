import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { windowMax, type PushRate } from "./push-rate.ts";
import type { SinkProcess } from "./sink-process.ts";

/** The bare loop of bare-push-main.ts in a process of its own; it signs with a key, in base64. */
export async function bareLoop(
  sink: SinkProcess,
  requestCount: number,
  key?: string,
): Promise<PushRate> {
  const entry = fileURLToPath(new URL("bare-push-main.js", import.meta.url));
  const numbers = [sink.port, windowMax, requestCount].map(String);
  const given = key === undefined ? numbers : [...numbers, key];
  const child = fork(entry, given, { env: { ...process.env, NODE_OPTIONS: "" } });
  const [rate] = (await once(child, "message")) as [PushRate];
  if (child.exitCode === null) await once(child, "exit");
  return rate;
}
