import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MeshError, systemClock, type Clock } from "@fleetmesh/core";
import { KeyRing } from "../secret/key-ring.ts";
import { openedSubscription, sealedSubscription } from "../secret/sealed-subscription.ts";
import { ChangeJournal } from "./change-journal.ts";
import { MemoryMetadata, type MetadataOptions } from "./memory-metadata.ts";
import type { MetadataChange } from "./metadata-state.ts";

export interface FileMetadataOptions extends Partial<MetadataOptions> {
  readonly path: string;
  readonly clock?: Clock;
  /** The keys that secrets are sealed with; when left out, in `secrets.key` beside the journal, made where it is missing. */
  readonly keyFile?: string | undefined;
  /** The journal is rewritten when it is larger than this and twice what it held after the last rewrite. */
  readonly rewriteBytes?: number;
}

interface Waiting {
  readonly change: MetadataChange;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Metadata in a journal of changes: durable before visible, group commit, crash-safe at every byte. Secrets are sealed there; in
 * memory they are open.
 */
export class FileMetadata extends MemoryMetadata {
  override readonly name = "file-metadata";
  readonly #journal: ChangeJournal;
  readonly #path: string;
  readonly #keyFile: string | undefined;
  #ring: KeyRing | undefined;
  readonly #clock: Clock;
  readonly #rewriteBytes: number;
  #rewriteAtBytes: number;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #phase: "new" | "open" | "closed" = "new";

  constructor(options: FileMetadataOptions) {
    super(options);
    this.#path = options.path;
    this.#keyFile = options.keyFile;
    this.#clock = options.clock ?? systemClock;
    this.#rewriteBytes = options.rewriteBytes ?? 4 * 2 ** 20;
    this.#rewriteAtBytes = this.#rewriteBytes;
    this.#journal = new ChangeJournal(options.path);
  }

  override async start(): Promise<void> {
    if (this.#phase === "open") return;
    await mkdir(dirname(this.#path), { recursive: true });
    this.#ring = await this.#openKeys();
    const changes = await this.#journal.open(`damaged-${Math.floor(this.#clock.wallMs())}`);
    const hasStale = this.#applyKept(changes, this.#ring);
    // Secrets of before there were keys, or under an old one. What a full disk refuses now is done at the next start.
    if (hasStale) await this.#rewrite().catch(() => undefined);
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
      await this.#journal.append(allowed.map((waiting) => this.#sealed(waiting.change)));
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
    await this.#rewrite().catch(() => undefined);
    this.#rewriteAtBytes = Math.max(this.#rewriteBytes, 2 * this.#journal.byteCount);
  }

  #openKeys(): Promise<KeyRing> {
    if (this.#keyFile !== undefined) return KeyRing.read(this.#keyFile);
    return KeyRing.readOrMake(join(dirname(this.#path), "secrets.key"));
  }

  /** Whether anything is to be sealed anew. */
  #applyKept(changes: readonly MetadataChange[], ring: KeyRing): boolean {
    let hasStale = false;
    for (const change of changes) {
      if (change.kind !== "put-subscription") {
        this.state.apply(change);
        continue;
      }
      const { subscription, isStale } = openedSubscription(change.subscription, ring);
      hasStale ||= isStale;
      this.state.apply({ kind: "put-subscription", subscription });
    }
    return hasStale;
  }

  #sealed(change: MetadataChange): MetadataChange {
    const ring = this.#ring;
    if (change.kind !== "put-subscription" || !ring) return change;
    return { ...change, subscription: sealedSubscription(change.subscription, ring) };
  }

  *#sealedChanges(): Generator<MetadataChange> {
    for (const change of this.state.asChanges()) yield this.#sealed(change);
  }

  #rewrite(): Promise<void> {
    return this.#journal.rewrite(this.#sealedChanges());
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
