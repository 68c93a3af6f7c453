import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { MeshError, sleep, type Clock, type Logger } from "@fleetmesh/core";
import {
  pulsarArgs,
  pulsarLastWords,
  pulsarLog,
  pulsarOutput,
  writePulsarConfig,
} from "./pulsar-command.ts";
import { isPortFree, type PulsarPlace } from "./pulsar-place.ts";
import { ServerProcess } from "./server-process.ts";

export interface LocalPulsarPorts {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A standalone answers before its bookie has its data on the disk; an acknowledgement must mean that. */
const settings = { journalSyncData: true };
const readyMsMax = 180_000;
const portMsMax = 10_000;
const pollMs = 200;
const againMs = 1_000;
const stopMsMax = 3_000;

/** One Pulsar as a child process, started again when it ends, that never outlives this process. */
export class LocalPulsar {
  readonly #place: PulsarPlace;
  readonly #ports: LocalPulsarPorts;
  readonly #stopping = new AbortController();
  #process: ServerProcess | undefined;
  #watch: Promise<void> | undefined;

  constructor(place: PulsarPlace, ports: LocalPulsarPorts) {
    this.#place = place;
    this.#ports = ports;
  }

  /** Resolves when it is healthy. Errors: PORT_TAKEN, PULSAR_UNAVAILABLE, STOPPING. */
  async start(): Promise<void> {
    const { dir, region, ports } = this.#place;
    await this.#assertPorts();
    await mkdir(dir, { recursive: true });
    await writePulsarConfig({ dir, name: region, ports, settings });
    await this.#spawn();
    await this.#whenHealthy();
    this.#watch = this.#keepAlive();
  }

  /** SIGTERM, then SIGKILL, which loses nothing either: what was acknowledged is on the disk. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping.abort();
    await this.#process?.end(
      "SIGTERM",
      AbortSignal.any([deadline, AbortSignal.timeout(stopMsMax)]),
    );
    await this.#watch;
  }

  async #spawn(): Promise<void> {
    const { dir, ports } = this.#place;
    this.#assertWanted();
    this.#process = await ServerProcess.start({
      command: "java",
      args: pulsarArgs(dir, ports),
      cwd: dir,
      logFile: join(dir, pulsarOutput),
    });
    // Stopped while it was made.
    if (this.#isStopping()) await this.#process.end("SIGKILL");
    this.#assertWanted();
  }

  /** One of a mesh that was killed just now is on its way out. */
  async #assertPorts(): Promise<void> {
    const { clock } = this.#ports;
    const { region, ports } = this.#place;
    const untilMs = clock.monotonicMs() + portMsMax;
    for (const port of [ports.broker, ports.web, ports.bookie])
      while (!(await isPortFree(port))) {
        this.#assertWanted();
        if (clock.monotonicMs() > untilMs)
          throw new MeshError("PORT_TAKEN", `${region}'s Pulsar cannot listen on port ${port}`, {
            hint: "Stop the process that holds it; a data directory keeps the ports that its Pulsar began with.",
          });
        await sleep(clock, pollMs, this.#stopping.signal);
      }
  }

  async #whenHealthy(): Promise<void> {
    const { clock } = this.#ports;
    const untilMs = clock.monotonicMs() + readyMsMax;
    while (!(await this.#isHealthy())) {
      this.#assertWanted();
      if (this.#process?.isAlive !== true) throw await this.#failed("ended");
      if (clock.monotonicMs() > untilMs) throw await this.#failed("is not ready in time");
      await sleep(clock, pollMs, this.#stopping.signal);
    }
  }

  /** A standalone records its own cluster only when it is there, and refuses tenants of it before. */
  async #isHealthy(): Promise<boolean> {
    const { region } = this.#place;
    const isWell = (await this.#ask("brokers/health")) === "ok";
    return isWell && (await this.#ask(`clusters/${region}`)) !== undefined;
  }

  async #ask(path: string): Promise<string | undefined> {
    try {
      const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(5_000)]);
      const response = await fetch(`${this.#place.adminUrl}/admin/v2/${path}`, { signal });
      const text = await response.text();
      return response.ok ? text : undefined;
    } catch {
      return undefined;
    }
  }

  async #keepAlive(): Promise<void> {
    const { clock, logger } = this.#ports;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#process?.gone;
      if (this.#isStopping()) return;
      const { region } = this.#place;
      logger.warn({ region, log: this.#logFile }, "Pulsar ended; it is started again.");
      await sleep(clock, againMs, signal);
      await this.#spawn().catch((error: unknown) => {
        if (!this.#isStopping()) logger.error({ err: error, region }, "Pulsar was not started.");
      });
    }
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #failed(what: string): Promise<MeshError> {
    const words = await pulsarLastWords(this.#place.dir, 4_000);
    const lines = words.split("\n").slice(-3).join("\n");
    const text = `${this.#place.region}'s Pulsar ${what}\n${lines}`;
    return new MeshError("PULSAR_UNAVAILABLE", text, { hint: `Its log is ${this.#logFile}.` });
  }

  #assertWanted(): void {
    if (this.#isStopping()) throw new MeshError("STOPPING", "Pulsar was stopped while it started");
  }

  get #logFile(): string {
    return join(this.#place.dir, pulsarLog);
  }
}
