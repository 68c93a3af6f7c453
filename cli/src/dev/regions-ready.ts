import { MeshError, sleep, type Clock, type Part } from "@fleetmesh/core";
import { httpUrl, type RegionPlan } from "./dev-plan.ts";

const waitMsMax = 120_000;
const pollMs = 100;

/** Waits until every region can store: the ready line promises that what is sent then is taken. */
export class RegionsReady implements Part {
  readonly name = "regions ready";
  readonly #regions: readonly RegionPlan[];
  readonly #clock: Clock;
  readonly #stopping = new AbortController();

  constructor(regions: readonly RegionPlan[], clock: Clock) {
    this.#regions = regions;
    this.#clock = clock;
  }

  async start(): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + waitMsMax;
    for (const { name, httpPort } of this.#regions)
      for (let why = await notReady(httpPort); why !== undefined; why = await notReady(httpPort)) {
        if (this.#stopping.signal.aborted)
          throw new MeshError("STOPPING", "The mesh was stopped while it started");
        if (this.#clock.monotonicMs() > untilMs)
          throw new MeshError("STORE_UNAVAILABLE", `${name} is not ready: ${why}`);
        await sleep(this.#clock, pollMs, this.#stopping.signal);
      }
  }

  stop(): Promise<void> {
    this.#stopping.abort();
    return Promise.resolve();
  }
}

async function notReady(httpPort: number): Promise<string | undefined> {
  const response = await fetch(`${httpUrl(httpPort)}/readyz`);
  const text = await response.text();
  return response.ok ? undefined : text.slice(0, 300);
}
