import type { EventClass } from "@fleetmesh/core";
import type { AppendItem } from "./buffer.ts";
import type { GroupLimits } from "./buffer-options.ts";
import { GroupEncoder } from "./group-encoder.ts";

export interface WaitingAppend {
  readonly items: readonly AppendItem[];
  /** Of those that have an id, as RepeatIdentity writes them. */
  readonly identities: Uint32Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Appends that share one commit, encoded as they come so that the thread's fsync and this work overlap. */
export class AppendGroup {
  readonly appends: WaitingAppend[] = [];
  readonly encoder: GroupEncoder;
  count = 0;

  constructor(encoder = new GroupEncoder()) {
    this.encoder = encoder;
  }

  classes(): EventClass[] {
    const classes = new Set<EventClass>();
    for (const { items } of this.appends)
      for (const { eventClass } of items) classes.add(eventClass);
    return [...classes];
  }

  identities(): Uint32Array {
    let length = 0;
    for (const { identities } of this.appends) length += identities.length;
    const all = new Uint32Array(length);
    let at = 0;
    for (const { identities } of this.appends) {
      all.set(identities, at);
      at += identities.length;
    }
    return all;
  }

  settle(error?: unknown): void {
    for (const { resolve, reject } of this.appends) {
      if (error === undefined) resolve();
      else reject(error);
    }
  }
}

/** What waits for the disk, in order, bounded in bytes. */
export class AppendGroups {
  readonly #limits: GroupLimits;
  #groups: AppendGroup[] = [];
  #byteCount = 0;
  #spareEncoder: GroupEncoder | undefined;

  constructor(limits: GroupLimits) {
    this.#limits = limits;
  }

  get isFull(): boolean {
    return this.#byteCount >= this.#limits.waitingBytesMax;
  }

  get isEmpty(): boolean {
    return this.#groups.length === 0;
  }

  /** Throws what encoding throws, with the group as it was. */
  add(append: WaitingAppend): void {
    const group = this.#openGroup();
    const before = group.encoder.byteCount;
    try {
      group.encoder.add(append.items);
    } catch (error) {
      // The encoder may hold a part of the offender: what waited before it goes on in a new group.
      this.#rebuild(group);
      throw error;
    }
    group.appends.push(append);
    group.count += append.items.length;
    this.#byteCount += group.encoder.byteCount - before;
  }

  take(): AppendGroup | undefined {
    const group = this.#groups.shift();
    if (group) this.#byteCount -= group.encoder.byteCount;
    return group;
  }

  /** An encoder that is finished, for the next group: its memory has grown to a group's size already. */
  reuse(encoder: GroupEncoder): void {
    this.#spareEncoder = encoder;
  }

  #openGroup(): AppendGroup {
    const last = this.#groups.at(-1);
    const { countMax, bytesMax } = this.#limits;
    if (last && last.count < countMax && last.encoder.byteCount < bytesMax) return last;
    const group = new AppendGroup(this.#spareEncoder);
    this.#spareEncoder = undefined;
    this.#groups.push(group);
    return group;
  }

  #rebuild(group: AppendGroup): void {
    const fresh = new AppendGroup();
    for (const append of group.appends) {
      fresh.encoder.add(append.items);
      fresh.appends.push(append);
      fresh.count += append.items.length;
    }
    this.#groups = this.#groups.map((one) => (one === group ? fresh : one));
  }
}
