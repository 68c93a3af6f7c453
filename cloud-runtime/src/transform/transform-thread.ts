import { parentPort, workerData } from "node:worker_threads";
import {
  BlockReader,
  BlockWriter,
  errorToData,
  keepThreadHeapSmall,
  MeshError,
} from "@fleetmesh/core/base";
import { compileTransform, isFatal, stepsOf, type CompiledTransform } from "./compile-transform.ts";
import type { EventReply, ThreadReply, ThreadRequest, ThreadStart } from "./transform-message.ts";

/** Rules that a thread keeps compiled. A function's interpreter takes a MiB or two. */
const rulesMax = 16;
/** After that the batch is answered as far as it has come: one slow event is not followed by thirty more. */
const turnMs = 50;

keepThreadHeapSmall();
const { limits, progress } = workerData as ThreadStart;
const place = new Int32Array(progress);
const onStep = (step: number): void => void Atomics.store(place, 1, step);
/** In the order of their last use. */
const rules = new Map<string, CompiledTransform>();

parentPort?.on("message", (request: ThreadRequest) => {
  answer(request).then(
    (reply) => {
      const transfer = "block" in reply ? [reply.block.buffer as ArrayBuffer] : [];
      parentPort?.postMessage(reply, transfer);
    },
    // Uncaught, it ends the thread.
    (error: unknown) =>
      setImmediate(() => {
        throw error;
      }),
  );
});

async function answer({ rule, spec, block }: ThreadRequest): Promise<ThreadReply> {
  try {
    const transform = await compiled(rule, spec);
    return await run(transform, block);
  } catch (error) {
    if (isFatal(error)) throw error;
    return { invalid: errorToData(error) };
  }
}

async function compiled(rule: string, spec: ThreadRequest["spec"]): Promise<CompiledTransform> {
  const known = rules.get(rule);
  const transform = known ?? (await compileTransform(stepsOf(spec), limits, onStep));
  rules.delete(rule);
  rules.set(rule, transform);
  const [oldest] = rules.keys();
  if (rules.size > rulesMax && oldest !== undefined) {
    rules.get(oldest)?.dispose();
    rules.delete(oldest);
  }
  return transform;
}

async function run(transform: CompiledTransform, block: Uint8Array): Promise<ThreadReply> {
  const made = new BlockWriter();
  const events: EventReply[] = [];
  const endMs = performance.now() + turnMs;
  for (const entry of new BlockReader(block)) {
    // The rest comes again, behind what others wait for.
    if (performance.now() > endMs && events.length > 0) break;
    Atomics.store(place, 0, events.length + 1);
    const startMs = performance.now();
    try {
      const outputs = await transform.apply({ event: entry.event, nowMs: entry.receivedMs });
      const durationMs = performance.now() - startMs;
      for (const event of outputs) made.add({ ...entry, event });
      events.push({ count: outputs.length, durationMs });
    } catch (error) {
      if (isFatal(error)) throw error;
      const durationMs = performance.now() - startMs;
      events.push({ count: 0, durationMs, error: errorToData(MeshError.from(error)) });
    }
  }
  return { block: made.finish(), events };
}
