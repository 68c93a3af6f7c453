import type { Part } from "@fleetmesh/core";
import { ApiClient } from "../api-client.ts";
import { httpUrl, type DevPlan } from "./dev-plan.ts";

const path = "/v1/subscriptions";

/** Asks the last region for everything of the vehicles, whichever region it came in, once and for all runs. */
export class PrinterSubscription implements Part {
  readonly name = "printer subscription";
  readonly #plan: DevPlan;
  readonly #token: string;

  constructor(plan: DevPlan, token: string) {
    this.#plan = plan;
    this.#token = token;
  }

  async start(): Promise<void> {
    const url = httpUrl(this.#plan.regions.at(-1)?.httpPort ?? 0);
    const client = new ApiClient({ url, token: this.#token, timeoutMs: 10_000 });
    const sink = `${httpUrl(this.#plan.printerPort)}/`;
    const wanted = { topic: "vehicle.>", sink, protocol: "HTTP", consumergroup: "printer" };
    const known = (await client.json(path)) as { id: string; sink: string }[];
    const mine = known.find(({ id }) => id === "printer");
    if (mine === undefined) await client.send("POST", path, { id: "printer", ...wanted });
    else if (mine.sink !== sink) await client.send("PUT", `${path}/printer`, wanted);
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }
}
