import { MeshError } from "@fleetmesh/core";
import type { WaitingAppend } from "./append-groups.ts";
import type { AppendItem } from "./buffer.ts";
import { repeatWindowDefault, type BufferLimits } from "./buffer-options.ts";
import { identityWords, RepeatIdentity } from "./repeat-identity.ts";
import { RepeatWindow } from "./repeat-window.ts";

/** Appends that wait for the commit of an event they repeat; more are refused. */
const waitingMax = 4_096;

export interface RepeatFilterOptions {
  readonly limits: BufferLimits;
  /** An event of the topic is known already and is not stored again. */
  readonly onRepeated?: ((topic: string) => void) | undefined;
}

/** What one append adds, until its commit is over. */
class Claim {
  readonly words: Uint32Array<ArrayBuffer>;
  /** Words in use: of the events that are new and have an id. */
  used = 0;
  readonly repeatedTopics: string[] = [];
  readonly waiters: (() => void)[] = [];
  #items: readonly AppendItem[];
  #fresh: AppendItem[] | undefined;

  constructor(items: readonly AppendItem[]) {
    this.#items = items;
    this.words = new Uint32Array(items.length * identityWords);
  }

  get items(): readonly AppendItem[] {
    return this.#fresh ?? this.#items;
  }

  get identities(): Uint32Array<ArrayBuffer> {
    // Not a view: a small array of its own costs far less than two on one memory.
    return this.used === this.words.length ? this.words : this.words.slice(0, this.used);
  }

  isNew(item: AppendItem): void {
    this.#fresh?.push(item);
  }

  isRepeat(item: AppendItem, index: number): void {
    this.#fresh ??= this.#items.slice(0, index);
    this.repeatedTopics.push(item.entry.topic);
  }

  /** The content word that the append itself gives to the key behind those in use. */
  ownContent(): number | undefined {
    const { words, used } = this;
    for (let at = 0; at < used; at += identityWords) {
      const isSame =
        words[at] === words[used] &&
        words[at + 1] === words[used + 1] &&
        words[at + 2] === words[used + 2];
      if (isSame) return words[at + 3];
    }
    return undefined;
  }
}

/**
 * Lets through what is new of each append. Known are the last events that became durable, and those whose commit is under
 * way: what repeats one of these waits for its outcome and is then judged anew, so that nothing is acknowledged on the
 * word of a commit that fails.
 */
export class RepeatFilter {
  readonly #onRepeated: (topic: string) => void;
  readonly #countMax: number;
  readonly #identity = new RepeatIdentity();
  readonly #durable: RepeatWindow;
  /** By 53 bits of the key: what meets another one here by chance waits for it, and loses nothing but that time. */
  readonly #pending = new Map<number, Claim>();
  #waitingCount = 0;

  constructor({ limits, onRepeated }: RepeatFilterOptions) {
    this.#countMax = limits.repeatWindow ?? repeatWindowDefault;
    this.#durable = new RepeatWindow(this.#countMax);
    this.#onRepeated = onRepeated ?? (() => undefined);
  }

  /**
   * Gives `store` what is new of the items; resolves when that, and whatever they repeat, is durable.
   * Errors: EVENT_CONFLICT (details.index) with nothing stored, BUFFER_FULL, and what `store` rejects with.
   */
  admit(items: readonly AppendItem[], store: (append: WaitingAppend) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const attempt = (): void => {
        const claim = new Claim(items);
        const blocking = this.#judge(claim, items);
        if (blocking) this.#waitFor(blocking, () => settled(attempt, reject));
        else if (claim.items.length === 0) resolve();
        else store(this.#waitingAppend(claim, resolve, reject));
      };
      attempt();
    });
  }

  /** Identities of the last durable events, oldest first. */
  identities(): Uint32Array<ArrayBuffer> {
    return this.#durable.words();
  }

  /** Takes over what was durable elsewhere, as older than all that is known here. */
  remember(identities: Uint32Array): void {
    const known = this.#durable.words();
    this.#durable.clear();
    for (const words of [identities, known])
      for (let at = 0; at + identityWords <= words.length; at += identityWords)
        this.#durable.add(words, at);
  }

  /** Fills the claim; returns the one that it has to wait for, with nothing claimed. Throws EVENT_CONFLICT. */
  #judge(claim: Claim, items: readonly AppendItem[]): Claim | undefined {
    if (this.#countMax === 0) return undefined;
    for (const [index, item] of items.entries()) {
      if (item.entry.event.id === "") {
        claim.isNew(item);
        continue;
      }
      this.#identity.write(item.entry, claim.words, claim.used);
      const known = this.#knownContent(claim);
      if (known instanceof Claim) {
        this.#release(claim);
        return known;
      }
      if (known === undefined) {
        claim.used += identityWords;
        claim.isNew(item);
      } else if (known === claim.words[claim.used + 3]) claim.isRepeat(item, index);
      else {
        this.#release(claim);
        throw conflict(index);
      }
    }
    for (const topic of claim.repeatedTopics) this.#onRepeated(topic);
    return undefined;
  }

  /** The content known for the claim's next key, or whose commit will tell; undefined = the key is the claim's now. */
  #knownContent(claim: Claim): number | Claim | undefined {
    const { words, used } = claim;
    const known = this.#durable.contentOf(words, used);
    if (known !== undefined) return known;
    const key = pendingKey(words, used);
    const pending = this.#pending.get(key);
    if (pending === claim) return claim.ownContent();
    if (pending === undefined) this.#pending.set(key, claim);
    return pending;
  }

  #waitFor(blocking: Claim, attempt: () => void): void {
    if (this.#waitingCount >= waitingMax) {
      const text = "More repeated events wait for the buffer's disk than it takes";
      throw new MeshError("BUFFER_FULL", text, { retryAfterSeconds: 1 });
    }
    this.#waitingCount += 1;
    blocking.waiters.push(() => {
      this.#waitingCount -= 1;
      attempt();
    });
  }

  #waitingAppend(
    claim: Claim,
    resolve: () => void,
    reject: (error: unknown) => void,
  ): WaitingAppend {
    const { items, identities } = claim;
    return {
      items,
      identities,
      resolve: () => {
        for (let at = 0; at < claim.used; at += identityWords) this.#durable.add(claim.words, at);
        this.#release(claim);
        resolve();
      },
      reject: (error) => {
        this.#release(claim);
        reject(error);
      },
    };
  }

  /** Nothing of the claim is under way any more: who waits for it is judged again, in order. */
  #release(claim: Claim): void {
    for (let at = 0; at < claim.used; at += identityWords) {
      const key = pendingKey(claim.words, at);
      if (this.#pending.get(key) === claim) this.#pending.delete(key);
    }
    for (const waiter of claim.waiters.splice(0)) waiter();
  }
}

function pendingKey(words: Uint32Array, at: number): number {
  return ((words[at] ?? 0) >>> 11) * 2 ** 32 + (words[at + 1] ?? 0);
}

function settled(attempt: () => void, reject: (error: unknown) => void): void {
  try {
    attempt();
  } catch (error) {
    reject(error);
  }
}

function conflict(index: number): MeshError {
  const text = `Event ${index} is known already with other content`;
  return new MeshError("EVENT_CONFLICT", text, { details: { index } });
}
