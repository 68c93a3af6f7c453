import { MeshError, type ClassWatermark, type Clock, type Timer } from "@fleetmesh/core/base";
import type { BufferStats, BufferTopics } from "./buffer.ts";
import { BufferFile } from "./buffer-file.ts";
import type { AppendUnit, BufferThreadSettings, ReadPiece, ReadQuery } from "./buffer-messages.ts";
import { openSchema, pageBytes, type BufferIdentity } from "./buffer-schema.ts";
import { storedBytes } from "./block-rows.ts";
import { assertOwnPlace } from "./file-place.ts";
import { writeIdentityFile } from "./identity-file.ts";
import { SpaceReserve } from "./space-reserve.ts";
import { faultOf, type SqliteConnection } from "./sqlite-connection.ts";

export interface BufferDiskPorts {
  readonly connect: (file: string) => SqliteConnection;
  readonly clock: Clock;
  /** The disk refuses writes for this reason, or takes them again. */
  readonly onUnavailable: (reason: string | undefined) => void;
  readonly onDamaged: (reason: string) => void;
}

/** Pages in the log at which it is copied into the file: two fsyncs for some 4 MiB. */
const checkpointPages = 1_000;
const recoveryDelayMs = 500;
const vacuumPages = 256;

/**
 * Keeps one buffer file usable on a disk that is not always: rolls back what failed, tells full from broken from damaged,
 * and tries by itself until writing works again. Every failure leaves a known state: after a failed sync nobody knows what
 * the disk has, so the file is opened again and its log copied and emptied before anything new is promised.
 */
export class BufferDisk {
  readonly #settings: BufferThreadSettings;
  readonly #ports: BufferDiskPorts;
  readonly #reserve: SpaceReserve;
  #file: BufferFile | undefined;
  #unavailable: string | undefined;
  #damaged: string | undefined;
  /** What was produced before an append whose commit nobody knows the outcome of. */
  #undoAbove: readonly number[] | undefined;
  #logPages = 0;
  readonly #timers = new Map<string, Timer>();

  constructor(settings: BufferThreadSettings, ports: BufferDiskPorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.#reserve = new SpaceReserve(`${settings.file}-reserve`, settings.reserveBytes);
  }

  /** Throws DISK_LOCKED, SCHEMA_NEWER, BUFFER_DAMAGED, BUFFER_UNAVAILABLE, CONFIG_INVALID (another agent's file). */
  open(): BufferIdentity {
    try {
      const identity = this.#connect();
      this.#keepIdentity(identity);
      // Before the first event: a disk that is filled without it could never be emptied again.
      this.#keepReserve();
      this.#later("acks", this.#settings.ackDelayMs, () => this.#flush());
      return identity;
    } catch (error) {
      this.#close();
      throw openFailure(error, this.#settings.file);
    }
  }

  /** Identities of the last durable events, oldest first. Throws what reading throws. */
  repeats(): Uint32Array {
    const file = this.#readable();
    try {
      return file.repeats.all();
    } catch (error) {
      throw this.#failure(error, file.produced);
    }
  }

  /** Takes over identities that are older than all it has. They reach the disk with the next append. */
  remember(identities: Uint32Array): void {
    const file = this.#writable();
    try {
      file.remember(identities);
    } catch (error) {
      throw this.#failure(error, file.produced);
    }
  }

  append(
    units: readonly AppendUnit[],
    nowMs: number | undefined,
    repeats: readonly Uint32Array[] = [],
  ): boolean[] {
    const file = this.#writable();
    const before = file.produced;
    try {
      const stored = file.append(units, nowMs, repeats);
      this.#logPages += pagesOf(units);
      return stored;
    } catch (error) {
      throw this.#failure(error, before);
    }
  }

  read(query: ReadQuery): ReadPiece[] {
    const file = this.#readable();
    try {
      return file.read(query);
    } catch (error) {
      throw this.#failure(error, file.produced);
    }
  }

  acknowledge(watermarks: readonly (readonly [number, ClassWatermark])[]): void {
    const file = this.#readable();
    try {
      for (const [rank, watermark] of watermarks) file.acknowledge(rank, watermark);
    } catch (error) {
      throw this.#failure(error, file.produced);
    }
    if (file.hasAcks) this.#later("acks", this.#settings.ackDelayMs, () => this.#flush());
  }

  stats(): Omit<BufferStats, "unavailable"> {
    const file = this.#readable();
    try {
      return file.stats();
    } catch (error) {
      throw this.#failure(error, file.produced);
    }
  }

  topics(): BufferTopics {
    const file = this.#readable();
    try {
      return file.topics();
    } catch (error) {
      throw this.#failure(error, file.produced);
    }
  }

  /** What can wait until the appends were answered. */
  afterAppend(): void {
    if (this.#logPages < checkpointPages) return;
    const file = this.#file;
    if (!file) return;
    this.#logPages = 0;
    this.#guarded(file, () => file.checkpoint("PASSIVE"));
  }

  close(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    const file = this.#file;
    if (file && this.#unavailable === undefined) this.#guarded(file, () => file.flushAcks());
    this.#close();
  }

  #connect(): BufferIdentity {
    const { file, agentId, epoch, limits, durability, isPlaceChecked } = this.#settings;
    const db = this.#ports.connect(file);
    try {
      const identity = openSchema(db, { agentId, epoch }, durability);
      if (identity.agentId !== agentId) {
        const text = `The buffer in ${file} is agent "${identity.agentId}"'s, not "${agentId}"'s`;
        const hint =
          "An agent's data directory is its own: give this one another, or its old name.";
        throw new MeshError("CONFIG_INVALID", text, { hint });
      }
      if (isPlaceChecked) assertOwnPlace(db, file);
      this.#file = new BufferFile(db, { limits, durability });
      return identity;
    } catch (error) {
      if (!this.#file) db.close();
      throw error;
    }
  }

  /** A courtesy to whoever salvages this file one day: a disk that cannot take it now does not keep it from opening. */
  #keepIdentity(identity: BufferIdentity): void {
    try {
      writeIdentityFile(this.#settings.file, identity);
    } catch {
      // The file itself says it too.
    }
  }

  #close(): void {
    const file = this.#file;
    this.#file = undefined;
    try {
      file?.close();
    } catch {
      // What a broken disk keeps it from writing at the end is in the log, or was never promised.
    }
  }

  #writable(): BufferFile {
    if (this.#unavailable !== undefined)
      throw new MeshError("BUFFER_UNAVAILABLE", this.#unavailable, { retryAfterSeconds: 1 });
    return this.#readable();
  }

  #readable(): BufferFile {
    if (this.#damaged !== undefined) throw new MeshError("BUFFER_DAMAGED", this.#damaged);
    if (this.#file) return this.#file;
    const reason = this.#unavailable ?? "The buffer's file is not open";
    throw new MeshError("BUFFER_UNAVAILABLE", reason, { retryAfterSeconds: 1 });
  }

  /** Brings the file back to a known state after a failure and returns the error to answer with. */
  #failure(cause: unknown, before: readonly number[]): MeshError {
    const text = cause instanceof Error ? cause.message : String(cause);
    const fault = faultOf(cause);
    if (fault === "damaged") {
      this.#damaged = `The buffer's file is damaged: ${text}`;
      this.#close();
      this.#ports.onDamaged(this.#damaged);
      return new MeshError("BUFFER_DAMAGED", this.#damaged, { cause });
    }
    if (fault === "other") {
      this.#rollback();
      return MeshError.from(cause);
    }
    const isKnown = fault === "full" || isWriteFailure(cause);
    if (isKnown) this.#rollback();
    else {
      this.#undoAbove ??= before;
      this.#close();
    }
    if (fault === "full") this.#reserve.release();
    this.#setUnavailable(`The buffer's disk refuses writes: ${text}`);
    this.#later("recovery", recoveryDelayMs, () => this.#recover());
    const reason = this.#unavailable ?? text;
    return new MeshError("BUFFER_UNAVAILABLE", reason, { cause, retryAfterSeconds: 1 });
  }

  #rollback(): void {
    try {
      this.#file?.rollback();
    } catch {
      this.#close();
    }
  }

  /** Until it works: reopen, settle what was undecided, make room, prove a write, take the reserve back. */
  #recover(): void {
    if (this.#damaged !== undefined) return;
    try {
      if (!this.#file) this.#connect();
      const file = this.#readable();
      file.checkpoint("TRUNCATE");
      if (this.#undoAbove) file.undoAbove(this.#undoAbove);
      this.#undoAbove = undefined;
      file.flushAcks();
      file.vacuum(vacuumPages);
      file.checkpoint("TRUNCATE");
      this.#logPages = 0;
      file.probe();
      this.#reserve.create();
      this.#setUnavailable(undefined);
    } catch (error) {
      this.#recoveryFailed(error);
    }
  }

  #recoveryFailed(error: unknown): void {
    if (faultOf(error) === "damaged") {
      this.#failure(error, []);
      return;
    }
    // Whatever is half done in this connection is given up with it, unless it still serves readers.
    if (isWriteFailure(error) || faultOf(error) === "full") this.#rollback();
    else this.#close();
    this.#later("recovery", recoveryDelayMs, () => this.#recover());
  }

  #setUnavailable(reason: string | undefined): void {
    if (this.#unavailable === reason) return;
    this.#unavailable = reason;
    this.#ports.onUnavailable(reason);
  }

  #flush(): void {
    const file = this.#file;
    if (!file || this.#undoAbove || !(file.hasAcks || this.#mayGiveBack(file))) return;
    this.#guarded(file, () => {
      file.flushAcks();
      this.#logPages += 16;
      if (this.#mayGiveBack(file)) this.#giveBack(file);
    });
    this.afterAppend();
    if (this.#file?.hasAcks) this.#later("acks", 1, () => this.#flush());
    else if (this.#file && this.#mayGiveBack(this.#file))
      this.#later("acks", this.#settings.ackDelayMs, () => this.#flush());
  }

  /** On a disk that refuses writes the recovery does it, at its own pace. */
  #mayGiveBack(file: BufferFile): boolean {
    return this.#unavailable === undefined && file.isLoose;
  }

  /** The file shrinks when its log is copied. */
  #giveBack(file: BufferFile): void {
    file.vacuum(vacuumPages);
    this.#logPages += vacuumPages;
  }

  #keepReserve(): void {
    const file = this.#file;
    if (!file || this.#unavailable !== undefined) return;
    this.#guarded(file, () => this.#reserve.create());
  }

  /** Work that nobody waits for: its failure is handled, and told by the state alone. */
  #guarded(file: BufferFile, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failure(error, file.produced);
    }
  }

  #later(name: string, delayMs: number, callback: () => void): void {
    if (this.#timers.has(name)) return;
    const timer = this.#ports.clock.setTimer(delayMs, () => {
      this.#timers.delete(name);
      callback();
    });
    this.#timers.set(name, timer);
  }
}

/** A write that failed before anything was promised: SQLite rolls it back, and the connection stays right. */
function isWriteFailure(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return (
    code === "SQLITE_IOERR_WRITE" || code.startsWith("SQLITE_READONLY") || /^E[A-Z]+$/.test(code)
  );
}

function pagesOf(units: readonly AppendUnit[]): number {
  let byteCount = 0;
  for (const unit of units) for (const block of unit) byteCount += storedBytes(block);
  return Math.ceil(byteCount / pageBytes) + 4;
}

function openFailure(cause: unknown, file: string): MeshError {
  if (MeshError.is(cause)) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  switch (faultOf(cause)) {
    case "locked":
      return new MeshError("DISK_LOCKED", `Another process has ${file} open`, { cause });
    case "damaged":
      return new MeshError("BUFFER_DAMAGED", `${file} is damaged: ${text}`, { cause });
    case "full":
    case "disk":
      return new MeshError("BUFFER_UNAVAILABLE", `${file} cannot be opened: ${text}`, { cause });
    case "other":
      return MeshError.from(cause);
  }
}
