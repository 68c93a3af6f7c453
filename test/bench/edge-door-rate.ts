import type { EdgeProcess } from "./edge-process.ts";

export interface DoorRate {
  readonly perSecond: number;
  /** CPU of the agent's process. */
  readonly microsEach: number;
}

/** Rate and cost of what the loads get acknowledged; `work` returns how many events that were. */
export async function doorRate(edge: EdgeProcess, work: () => Promise<number>): Promise<DoorRate> {
  const cpuBefore = edge.cpuMicros();
  const startedMs = performance.now();
  const count = await work();
  const seconds = (performance.now() - startedMs) / 1000;
  return { perSecond: count / seconds, microsEach: (edge.cpuMicros() - cpuBefore) / count };
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
