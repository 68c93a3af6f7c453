import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { MeshError, systemClock, type Clock } from "@fleetmesh/core";
import { ChangeJournal } from "./change-journal.ts";
import { MemoryMetadata, type MetadataOptions } from "./memory-metadata.ts";
import type { MetadataChange } from "./metadata-state.ts";

export interface FileMetadataOptions extends Partial<MetadataOptions> {
  readonly path: string;
  readonly clock?: Clock;
  /** The journal is rewritten when it is larger than this and twice what it held after the last rewrite. */
  readonly rewriteBytes?: number;
}

interface Waiting {
  readonly change: MetadataChange;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Metadata in a journal of changes: durable before visible, group commit, crash-safe at every byte. */
export class FileMetadata extends MemoryMetadata {
  override readonly name = "file-metadata";
  readonly #journal: ChangeJournal;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #rewriteBytes: number;
  #rewriteAtBytes: number;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #phase: "new" | "open" | "closed" = "new";

  constructor(options: FileMetadataOptions) {
    super(options);
    this.#path = options.path;
    this.#clock = options.clock ?? systemClock;
    this.#rewriteBytes = options.rewriteBytes ?? 4 * 2 ** 20;
    this.#rewriteAtBytes = this.#rewriteBytes;
    this.#journal = new ChangeJournal(options.path);
  }

  override async start(): Promise<void> {
    if (this.#phase === "open") return;
    await mkdir(dirname(this.#path), { recursive: true });
    const changes = await this.#journal.open(`damaged-${Math.floor(this.#clock.wallMs())}`);
    for (const change of changes) this.state.apply(change);
    this.#phase = "open";
  }

  override async stop(): Promise<void> {
    if (this.#phase !== "open") return;
    this.#phase = "closed";
    while (this.#writing) await this.#writing;
    await this.#journal.close();
  }

  protected override keep(change: MetadataChange): Promise<void> {
    if (this.#phase !== "open")
      return Promise.reject(new MeshError("STOPPING", "The metadata is not open"));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject });
      this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
    });
  }

  async #write(): Promise<void> {
    // A turn later, so that changes made together share one fsync.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      await this.#writeBatch(this.#takeBatch());
      await this.#rewriteWhenLarge();
    }
  }

  /**
   * One change per subscription or topic at a time: a change is judged on the state that those before it left. A topic's removal, which
   * depends on all subscriptions, alone.
   */
  #takeBatch(): Waiting[] {
    const touched = new Set<string>();
    const batch: Waiting[] = [];
    for (const waiting of this.#waiting) {
      const name = nameOf(waiting.change);
      const isRemoval = waiting.change.kind === "begin-removal";
      if (touched.has(name) || (isRemoval && batch.length > 0)) break;
      touched.add(name);
      batch.push(waiting);
      if (isRemoval) break;
    }
    this.#waiting = this.#waiting.slice(batch.length);
    return batch;
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    const allowed = batch.filter((waiting) => this.#isAllowed(waiting));
    if (allowed.length === 0) return;
    try {
      await this.#journal.append(allowed.map((waiting) => waiting.change));
    } catch (error) {
      for (const waiting of allowed) waiting.reject(error);
      return;
    }
    for (const waiting of allowed) this.state.apply(waiting.change);
    this.announce();
    for (const waiting of allowed) waiting.resolve();
  }

  #isAllowed(waiting: Waiting): boolean {
    try {
      this.state.check(waiting.change);
      return true;
    } catch (error) {
      waiting.reject(error);
      return false;
    }
  }

  async #rewriteWhenLarge(): Promise<void> {
    if (this.#journal.byteCount < this.#rewriteAtBytes) return;
    // A full disk may refuse the copy; the old journal goes on and the next change tries again.
    await this.#journal.rewrite(this.state.asChanges()).catch(() => undefined);
    this.#rewriteAtBytes = Math.max(this.#rewriteBytes, 2 * this.#journal.byteCount);
  }
}

function nameOf(change: MetadataChange): string {
  switch (change.kind) {
    case "put-topic":
      return `topic ${change.topic.name}`;
    case "begin-removal":
    case "end-removal":
      return `topic ${change.topic}`;
    case "put-subscription":
      return `subscription ${change.subscription.id}`;
    case "remove-subscription":
      return `subscription ${change.id}`;
  }
}
