import { bareLoop } from "./bare-loop.ts";
import { pushRate, type PushRate } from "./push-rate.ts";
import { RegionProcess } from "./region-process.ts";
import { SinkProcess } from "./sink-process.ts";

const eventCount = 30_000;
const runCount = 3;

export interface PushTurns {
  readonly pushes: readonly PushRate[];
  readonly bares: readonly PushRate[];
}

/**
 * A region's pushes and those of a bare loop of the same client, in turns, so that both meet the same machine. With a signing key,
 * base64, both sign (Standard Webhooks v1).
 */
export async function pushTurns(key?: string): Promise<PushTurns> {
  const [region, sink] = await Promise.all([RegionProcess.start(), SinkProcess.start()]);
  const signing = key === undefined ? {} : { secret: `whsec_${key}` };
  const plan = { region, sink, eventCount, ...signing };
  const pushes: PushRate[] = [];
  const bares: PushRate[] = [];
  try {
    // The first run warms up.
    await pushRate({ ...plan, run: 1 });
    for (let run = 2; run < 2 + runCount; run += 1) {
      bares.push(await bareLoop(sink, eventCount, key));
      pushes.push(await pushRate({ ...plan, run }));
    }
  } finally {
    await Promise.all([region.stop(), sink.stop()]);
  }
  return { pushes, bares };
}
