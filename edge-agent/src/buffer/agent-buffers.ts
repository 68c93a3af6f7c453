import { existsSync } from "node:fs";
import { MeshError, sleep } from "@fleetmesh/core";
import type { EventBuffer } from "./buffer.ts";
import type { SqliteBufferOptions } from "./buffer-options.ts";
import type { BufferDamage, Buffers } from "./buffers.ts";
import {
  findQuarantined,
  quarantine,
  removeQuarantined,
  type QuarantineFolder,
} from "./quarantine.ts";
import { SalvagedBuffer } from "./salvaged-buffer.ts";
import { SqliteBuffer, type BufferLoss } from "./sqlite-buffer.ts";
import { salvageQuarantined } from "./sqlite-salvage.ts";

const damageCountMax = 16;
const retryDelayMs = 2_000;
/** Threads lost within this time after which the file itself is suspected. */
const threadLossWindowMs = 60_000;
const threadLossMax = 3;

interface Salvaged {
  readonly folder: QuarantineFolder;
  readonly buffer: SalvagedBuffer;
}

/** The buffers of one agent on its disk: replaces a damaged one while running, salvages in the background. */
export class AgentBuffers implements Buffers {
  readonly name = "agent-buffers";
  readonly #options: SqliteBufferOptions;
  readonly #listeners: (() => void)[] = [];
  readonly #stopping = new AbortController();
  readonly #damages: BufferDamage[] = [];
  #current: SqliteBuffer;
  #salvaged: Salvaged[] = [];
  /** Salvage and clearing away, one after the other. */
  #background: Promise<void> = Promise.resolve();
  /** The change to a fresh buffer, which waits for no salvage. */
  #replacing: Promise<void> = Promise.resolve();
  #threadLosses: number[] = [];

  constructor(options: SqliteBufferOptions) {
    this.#options = options;
    this.#current = new SqliteBuffer(options);
  }

  get current(): EventBuffer {
    return this.#current;
  }

  get salvaged(): readonly EventBuffer[] {
    return this.#salvaged.map(({ buffer }) => buffer);
  }

  get damages(): readonly BufferDamage[] {
    return this.#damages;
  }

  onChanged(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async start(): Promise<void> {
    const { directory } = this.#options;
    // Looked for first: damage that is found on opening takes care of its own salvage.
    const quarantined = existsSync(directory) ? findQuarantined(directory) : [];
    await this.#openCurrent();
    for (const folder of quarantined) {
      if (existsSync(folder.salvageFolder)) await this.#openSalvaged(folder);
      else this.#salvageLater(folder);
    }
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping.abort();
    await this.#replacing;
    await this.#background;
    for (const { buffer } of this.#salvaged) await buffer.stop(deadline);
    await this.#current.stop(deadline);
  }

  /** Opens the file, or a fresh one beside it when it is damaged. */
  async #openCurrent(): Promise<void> {
    const buffer = this.#current;
    try {
      await buffer.start();
    } catch (error) {
      if (!MeshError.is(error, "BUFFER_DAMAGED")) throw error;
      this.#putAside(buffer, error.message);
      this.#current = new SqliteBuffer(this.#options);
      await this.#current.start();
    }
    this.#current.onLost((loss) => this.#lost(loss));
  }

  #lost(loss: BufferLoss): void {
    this.#replacing = this.#replacing.then(() => this.#replace(loss)).catch(this.#failed);
  }

  async #replace(loss: BufferLoss): Promise<void> {
    const lost = this.#current;
    await lost.stop(AbortSignal.timeout(retryDelayMs));
    if (loss.kind === "file" || this.#isThreadLostAgain()) this.#putAside(lost, loss.reason);
    else
      this.#options.logger.error({ reason: loss.reason }, "The buffer's thread is started again.");
    while (!this.#stopping.signal.aborted) {
      this.#current = new SqliteBuffer(this.#options);
      try {
        await this.#openCurrent();
        this.#changed();
        return;
      } catch (error) {
        this.#options.logger.error({ error }, "The buffer cannot be opened; it is tried again.");
        await sleep(this.#options.clock, retryDelayMs, this.#stopping.signal);
      }
    }
  }

  #isThreadLostAgain(): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    this.#threadLosses = this.#threadLosses.filter((atMs) => nowMs - atMs < threadLossWindowMs);
    this.#threadLosses.push(nowMs);
    return this.#threadLosses.length >= threadLossMax;
  }

  #putAside(buffer: SqliteBuffer, reason: string): void {
    const { clock, logger } = this.#options;
    const atMs = clock.wallMs();
    let movedTo: string | undefined;
    try {
      const folder = quarantine(buffer.file, atMs);
      movedTo = folder.damagedFile;
      this.#salvageLater(folder);
    } catch (error) {
      logger.error({ error }, "The damaged buffer file cannot be moved aside.");
    }
    logger.error({ reason, movedTo }, "The buffer's file is damaged; a fresh one takes over.");
    this.#damages.push({ atMs, reason, movedTo });
    if (this.#damages.length > damageCountMax) this.#damages.shift();
  }

  #salvageLater(folder: QuarantineFolder): void {
    this.#inBackground(() => this.#salvage(folder));
  }

  async #salvage(folder: QuarantineFolder): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const report = await salvageQuarantined(folder, signal);
        logger.warn({ ...report }, "A damaged buffer was salvaged.");
        await this.#openSalvaged(folder);
        this.#changed();
        return;
      } catch (error) {
        if (MeshError.is(error, "STOPPING")) return;
        logger.error({ error }, "A damaged buffer was not salvaged.");
        // Nothing in it can be read: it stays where it is for people, and the next start looks again.
        if (!MeshError.is(error) || !error.retryable || error.kind === "BUFFER_DAMAGED") return;
        await sleep(clock, retryDelayMs, signal);
      }
    }
  }

  async #openSalvaged(folder: QuarantineFolder): Promise<void> {
    const limits = { ...this.#options.limits, whenFull: "reject" } as const;
    const options = { ...this.#options, limits, directory: folder.salvageFolder, reserveBytes: 0 };
    const buffer = new SalvagedBuffer(new SqliteBuffer(options), () =>
      this.#inBackground(() => this.#drained(folder)),
    );
    await buffer.start();
    this.#salvaged.push({ folder, buffer });
    await buffer.tellWhenDrained();
  }

  /** All of it is the region's: what was damaged and what was salvaged from it goes. */
  async #drained(folder: QuarantineFolder): Promise<void> {
    const done = this.#salvaged.find((one) => one.folder.mark === folder.mark);
    this.#salvaged = this.#salvaged.filter((one) => one !== done);
    await done?.buffer.stop(AbortSignal.timeout(retryDelayMs));
    removeQuarantined(folder);
    this.#options.logger.info({ mark: folder.mark }, "A salvaged buffer is drained.");
    this.#changed();
  }

  #inBackground(work: () => Promise<void>): void {
    this.#background = this.#background.then(work).catch(this.#failed);
  }

  readonly #failed = (error: unknown): void => {
    this.#options.logger.error({ error }, "Work on the buffers failed.");
  };

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** The buffers of one agent, started. */
export async function openBuffers(options: SqliteBufferOptions): Promise<Buffers> {
  const buffers = new AgentBuffers(options);
  await buffers.start();
  return buffers;
}
