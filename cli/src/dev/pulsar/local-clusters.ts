import type { Part } from "@fleetmesh/core";
import { LocalPulsar, type LocalPulsarPorts } from "./local-pulsar.ts";
import { ensurePulsar, type DownloadStep } from "./pulsar-download.ts";
import type { PulsarPlace } from "./pulsar-place.ts";

export interface LocalClustersPorts extends LocalPulsarPorts {
  /** Told while the distribution is fetched and the servers come up. */
  readonly tell: (step: DownloadStep) => void;
}

/** A Pulsar for each region. The bridge introduces them to each other. */
export class LocalClusters implements Part {
  readonly name = "pulsar clusters";
  readonly #servers: readonly LocalPulsar[];
  readonly #ports: LocalClustersPorts;
  readonly #stopping = new AbortController();

  constructor(places: readonly PulsarPlace[], ports: LocalClustersPorts) {
    this.#ports = ports;
    this.#servers = places.map((place) => new LocalPulsar(place, ports));
  }

  /** Errors: SERVER_MISSING, PORT_TAKEN, PULSAR_UNAVAILABLE, STOPPING. */
  async start(): Promise<void> {
    const { tell } = this.#ports;
    await ensurePulsar({ tell, signal: this.#stopping.signal });
    tell({ text: `Starting ${this.#servers.length} Pulsar, some 300 MB of memory each` });
    const started = await Promise.allSettled(this.#servers.map((server) => server.start()));
    const failed = started.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#servers.map((server) => server.stop(deadline)));
  }
}
