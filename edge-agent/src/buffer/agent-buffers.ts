import { existsSync } from "node:fs";
import { join } from "node:path";
import { MeshError, sleep } from "@fleetmesh/core";
import type { BufferStats, EventBuffer } from "./buffer.ts";
import type { SqliteBufferOptions } from "./buffer-options.ts";
import type { BufferDamage, Buffers } from "./buffers.ts";
import {
  findQuarantined,
  quarantine,
  removeQuarantined,
  renewQuarantined,
  type QuarantineFolder,
} from "./quarantine.ts";
import { handledIn, RetiredEpochs, type HandledCounts } from "./retired-epochs.ts";
import { SalvagedBuffer } from "./salvaged-buffer.ts";
import { SqliteBuffer, type BufferLoss } from "./sqlite-buffer.ts";
import { salvageQuarantined } from "./sqlite-salvage.ts";
import { UnavailableBuffer } from "./unavailable-buffer.ts";

const damageCountMax = 16;
const retryDelayMs = 2_000;
const openAgainMs = 500;
/** A region that refuses whatever epoch it is given must not fill the disk with them. */
const renewalGapMs = 30_000;
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
  readonly #retired: RetiredEpochs;
  #current: EventBuffer;
  #salvaged: Salvaged[] = [];
  /** What lay aside when this process began was taken up. */
  #isTakenUp = false;
  /** Salvage and clearing away, one after the other. */
  #background: Promise<void> = Promise.resolve();
  /** The change to a fresh buffer, which waits for no salvage. */
  #replacing: Promise<void> = Promise.resolve();
  #threadLosses: number[] = [];
  #renewedMs = -Infinity;
  /** Identities of the last events of the buffer before: its successor knows them too. */
  #remembered: Uint32Array = new Uint32Array(0);

  constructor(options: SqliteBufferOptions) {
    this.#options = options;
    this.#retired = new RetiredEpochs(join(options.directory, "retired.json"));
    this.#current = this.#unavailable("The buffer is not open yet");
  }

  get current(): EventBuffer {
    return this.#current;
  }

  get salvaged(): readonly EventBuffer[] {
    return this.#salvaged.map(({ buffer }) => buffer);
  }

  get retired(): HandledCounts {
    const live = [...this.salvaged, this.#current].map(({ epoch }) => epoch);
    return this.#retired.counts(live);
  }

  get damages(): readonly BufferDamage[] {
    return this.#damages;
  }

  onChanged(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async start(): Promise<void> {
    try {
      await this.#open();
    } catch (error) {
      if (!MeshError.is(error, "BUFFER_UNAVAILABLE")) throw error;
      this.#options.logger.error({ error }, "The buffer cannot be opened; it is tried again.");
      this.#current = this.#unavailable(error.message);
      void this.#change(() => this.#openUntilItWorks());
    }
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping.abort();
    await this.#replacing;
    await this.#background;
    for (const { buffer } of this.#salvaged) await buffer.stop(deadline);
    await this.#current.stop(deadline);
  }

  renew(buffer: EventBuffer, reason: string): Promise<void> {
    return this.#change(async () => {
      const nowMs = this.#options.clock.monotonicMs();
      if (nowMs - this.#renewedMs < renewalGapMs || this.#stopping.signal.aborted) return;
      const salvaged = this.#salvaged.find((one) => one.buffer === buffer);
      const isCurrent = buffer === this.#current && buffer instanceof SqliteBuffer;
      if (salvaged !== undefined || isCurrent) this.#renewedMs = nowMs;
      if (salvaged !== undefined)
        this.#inBackground(() => this.#renewSalvaged(salvaged.folder, reason));
      else if (isCurrent) await this.#renewCurrent(buffer, reason);
    });
  }

  async #renewCurrent(current: SqliteBuffer, reason: string): Promise<void> {
    this.#current = this.#unavailable("The buffer is being given a new epoch");
    this.#remembered = current.identities();
    const stats = await current.stats().catch(unknown);
    await current.stop(AbortSignal.timeout(retryDelayMs));
    this.#putAside(current, reason, this.#options.chance.hex64());
    this.#retireRenewed(current.epoch, stats);
    await this.#openUntilItWorks();
  }

  /** The current buffer, and behind it what lies aside from before. */
  async #open(): Promise<void> {
    // Looked for first: damage that is found on opening takes care of its own salvage.
    const quarantined = this.#isTakenUp ? [] : this.#quarantined();
    await this.#openCurrent();
    this.#isTakenUp = true;
    for (const folder of quarantined) {
      const isReady = existsSync(folder.salvageFolder);
      if (!isReady || !(await this.#openSalvaged(folder).then(isTrue, isFalse)))
        this.#salvageLater(folder);
    }
  }

  #quarantined(): QuarantineFolder[] {
    const { directory } = this.#options;
    try {
      return existsSync(directory) ? findQuarantined(directory) : [];
    } catch (cause) {
      throw new MeshError("BUFFER_UNAVAILABLE", `${directory} cannot be read`, { cause });
    }
  }

  /** Opens the file, or a fresh one beside it when it is damaged. */
  async #openCurrent(): Promise<void> {
    let buffer = this.#fileBuffer();
    try {
      await buffer.start();
    } catch (error) {
      if (!MeshError.is(error, "BUFFER_DAMAGED")) throw error;
      this.#putAside(buffer, error.message);
      buffer = this.#fileBuffer();
      await buffer.start();
    }
    buffer.onLost((loss) => void this.#change(() => this.#replace(buffer, loss)));
    buffer.remember(this.#remembered);
    this.#remembered = new Uint32Array(0);
    this.#current = buffer;
  }

  #fileBuffer(): SqliteBuffer {
    return new SqliteBuffer({ ...this.#options, isPlaceChecked: true });
  }

  async #replace(lost: SqliteBuffer, loss: BufferLoss): Promise<void> {
    if (lost !== this.#current) return;
    this.#current = this.#unavailable(loss.reason);
    this.#remembered = lost.identities();
    await lost.stop(AbortSignal.timeout(retryDelayMs));
    if (loss.kind === "file" || this.#isThreadLostAgain()) this.#putAside(lost, loss.reason);
    else
      this.#options.logger.error({ reason: loss.reason }, "The buffer's thread is started again.");
    await this.#openUntilItWorks();
  }

  async #openUntilItWorks(): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#stopping;
    let told = "";
    while (!signal.aborted) {
      try {
        await this.#open();
        this.#changed();
        return;
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (error.message !== told) {
          logger.error({ error }, "The buffer cannot be opened; it is tried again.");
          this.#current = this.#unavailable(error.message);
        }
        told = error.message;
        await sleep(clock, openAgainMs, signal);
      }
    }
  }

  #isThreadLostAgain(): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    this.#threadLosses = this.#threadLosses.filter((atMs) => nowMs - atMs < threadLossWindowMs);
    this.#threadLosses.push(nowMs);
    return this.#threadLosses.length >= threadLossMax;
  }

  #putAside(buffer: SqliteBuffer, reason: string, renewedAs?: string): void {
    const { clock, logger } = this.#options;
    const atMs = clock.wallMs();
    let movedTo: string | undefined;
    try {
      const folder = quarantine(buffer.file, atMs, renewedAs);
      movedTo = folder.damagedFile;
      this.#salvageLater(folder);
    } catch (error) {
      logger.error({ error }, "The buffer's file cannot be moved aside.");
    }
    logger.error(
      { reason, movedTo, renewedAs },
      "The buffer is put aside; a fresh one takes over.",
    );
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
        if (!existsSync(folder.salvageFolder)) {
          const report = await salvageQuarantined(folder, signal);
          logger.warn({ ...report }, "A buffer that was put aside was salvaged.");
        }
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
    const file = new SqliteBuffer(options);
    const buffer = new SalvagedBuffer(file, () => this.#inBackground(() => this.#drained(folder)));
    await buffer.start();
    file.onLost(({ kind, reason }) => {
      this.#options.logger.error({ reason, mark: folder.mark }, "A salvaged buffer is lost.");
      this.#inBackground(() => this.#reopenSalvaged(folder, kind));
    });
    this.#salvaged = [...this.#salvaged, { folder, buffer }].sort(byAge);
    // Damage found at start, or a crash before the successor had them on the disk: known from here on at the latest.
    if (this.#current instanceof SqliteBuffer) this.#current.remember(file.identities());
    await buffer.tellWhenDrained();
  }

  /** It comes back from what was put aside, all of it that was not confirmed then, under a new epoch. */
  async #renewSalvaged(folder: QuarantineFolder, reason: string): Promise<void> {
    const epoch = this.#options.chance.hex64();
    this.#options.logger.error(
      { reason, mark: folder.mark, epoch },
      "A salvaged buffer is renewed.",
    );
    const old = this.#salvaged.find((one) => one.folder.mark === folder.mark)?.buffer;
    const stats = await old?.stats().catch(unknown);
    await this.#letGo(folder);
    renewQuarantined(folder, epoch);
    if (old) this.#retireRenewed(old.epoch, stats);
    this.#changed();
    await this.#salvage(folder);
  }

  /** What the region had confirmed of it stays behind; a full disk only makes the ledger forget that. */
  #retireRenewed(epoch: string, stats: BufferStats | undefined): void {
    try {
      if (stats) this.#retired.add(epoch, handledIn(stats));
    } catch (error) {
      this.#options.logger.error({ error, epoch }, "The ledger forgets an epoch.");
    }
  }

  /** Its thread is gone, and the file may be good; a file that is damaged once more stays for people. */
  async #reopenSalvaged(folder: QuarantineFolder, kind: BufferLoss["kind"]): Promise<void> {
    await this.#letGo(folder);
    if (kind === "thread") await this.#salvage(folder);
    this.#changed();
  }

  /** All of it is the region's: what was damaged and what was salvaged from it goes. */
  async #drained(folder: QuarantineFolder): Promise<void> {
    const done = this.#salvaged.find((one) => one.folder.mark === folder.mark);
    if (done) this.#retired.add(done.buffer.epoch, handledIn(await done.buffer.stats()));
    await this.#letGo(folder);
    removeQuarantined(folder);
    this.#options.logger.info({ mark: folder.mark }, "A salvaged buffer is drained.");
    this.#changed();
  }

  async #letGo(folder: QuarantineFolder): Promise<void> {
    const done = this.#salvaged.find((one) => one.folder.mark === folder.mark);
    this.#salvaged = this.#salvaged.filter((one) => one !== done);
    await done?.buffer.stop(AbortSignal.timeout(retryDelayMs));
  }

  #inBackground(work: () => Promise<void>): void {
    this.#background = this.#background.then(work).catch(this.#failed);
  }

  /** One change of the current buffer after the other. */
  #change(work: () => Promise<void>): Promise<void> {
    this.#replacing = this.#replacing.then(work).catch(this.#failed);
    return this.#replacing;
  }

  readonly #failed = (error: unknown): void => {
    this.#options.logger.error({ error }, "Work on the buffers failed.");
  };

  #unavailable(reason: string): UnavailableBuffer {
    const { agentId, limits } = this.#options;
    return new UnavailableBuffer(agentId, reason, limits.bytesMax);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

const isTrue = (): boolean => true;
const isFalse = (): boolean => false;
const unknown = (): undefined => undefined;
const byAge = (one: Salvaged, other: Salvaged): number => one.folder.mark - other.folder.mark;

/** The buffers of one agent, started. */
export async function openBuffers(options: SqliteBufferOptions): Promise<Buffers> {
  const buffers = new AgentBuffers(options);
  await buffers.start();
  return buffers;
}
