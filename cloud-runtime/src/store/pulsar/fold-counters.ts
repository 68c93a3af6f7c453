import { z } from "zod";
import type { StoreLedger } from "../event-store.ts";

const kept = z.object({
  duplicates: z.object({ agents: z.number(), direct: z.number(), replicated: z.number() }),
  gaps: z.object({ evicted: z.number(), expired: z.number(), damaged: z.number() }),
  rejected: z.number(),
  unknownRegions: z.number(),
  /** Numbers of the next items of the store's chunked lists. */
  next: z.object({ identities: z.number(), foreign: z.number(), rejected: z.number() }),
});

/** The ledger's counters beside the topics'. */
export class FoldCounters {
  readonly #duplicates = { agents: 0, direct: 0, replicated: 0 };
  readonly #gaps = { evicted: 0, expired: 0, damaged: 0 };
  readonly #onChanged: () => void;
  #rejected = 0;
  #unknownRegions = 0;
  #restored = { identities: 0, foreign: 0, rejected: 0 };

  constructor(onChanged: () => void) {
    this.#onChanged = onChanged;
  }

  get restored(): Readonly<z.infer<typeof kept>["next"]> {
    return this.#restored;
  }

  duplicate(publishers: keyof StoreLedger["duplicates"], count = 1): void {
    if (count === 0) return;
    this.#duplicates[publishers] += count;
    this.#onChanged();
  }

  gap(reason: keyof StoreLedger["gaps"], count: number): void {
    if (count === 0) return;
    this.#gaps[reason] += count;
    this.#onChanged();
  }

  reject(): void {
    this.#rejected += 1;
    this.#onChanged();
  }

  /** Events named them, and their topics do not go there. */
  meetUnknownRegions(count: number): void {
    this.#unknownRegions += count;
    this.#onChanged();
  }

  ledger(): Omit<StoreLedger, "topics" | "replication"> & { readonly unknownRegions: number } {
    const { duplicates, gaps } = { duplicates: this.#duplicates, gaps: this.#gaps };
    const { rejected, unknownRegions } = {
      rejected: this.#rejected,
      unknownRegions: this.#unknownRegions,
    };
    return { duplicates: { ...duplicates }, rejected, gaps: { ...gaps }, unknownRegions };
  }

  encode(next: z.infer<typeof kept>["next"]): Uint8Array {
    const record: z.infer<typeof kept> = { ...this.ledger(), next };
    return Buffer.from(JSON.stringify(record));
  }

  restore(value: Uint8Array): void {
    const record = kept.parse(JSON.parse(Buffer.from(value).toString()));
    Object.assign(this.#duplicates, record.duplicates);
    Object.assign(this.#gaps, record.gaps);
    this.#rejected = record.rejected;
    this.#unknownRegions = record.unknownRegions;
    this.#restored = record.next;
  }
}
