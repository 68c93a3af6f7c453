import { groupPlaceRecord, type GroupPlace } from "../shared/group-place.ts";

export interface ToldPlace {
  readonly topic: string;
  /** The region that told it. */
  readonly region: string;
  readonly subscription: string;
  readonly place: GroupPlace;
}

const countMaxDefault = 50_000;

/** Where consumer groups are, as their regions last told it: a fold over what is told in the topics themselves. */
export class GroupTable {
  /** Those told last come last. */
  readonly #places = new Map<string, ToldPlace>();
  /** The same by subscription: each topic of a group asks for its own when it opens. */
  readonly #bySubscription = new Map<string, Map<string, ToldPlace>>();
  readonly #onChanged: (key: string) => void;
  readonly #countMax: number;

  /** Kept under `p/<topic>/<subscription>/<region>`. Beyond the bound the one that was told longest ago goes. */
  constructor(onChanged: (key: string) => void, countMax = countMaxDefault) {
    this.#onChanged = onChanged;
    this.#countMax = countMax;
  }

  hear(told: ToldPlace): void {
    const key = keyOf(told);
    this.#put(key, told);
    this.#onChanged(key);
    for (const oldest of this.#places.keys()) {
      if (this.#places.size <= this.#countMax) return;
      this.#delete(oldest);
      this.#onChanged(oldest);
    }
  }

  of(subscription: string): ToldPlace[] {
    return [...(this.#bySubscription.get(subscription)?.values() ?? [])];
  }

  encode(key: string): Uint8Array | undefined {
    const told = this.#places.get(key);
    return told && Buffer.from(JSON.stringify(told.place));
  }

  restore(key: string, value: Uint8Array | undefined): void {
    const [, topic = "", subscription = "", region = ""] = key.split("/");
    if (!value) this.#delete(key);
    else {
      const place = groupPlaceRecord.parse(JSON.parse(Buffer.from(value).toString()));
      this.#put(key, { topic, region, subscription, place });
    }
  }

  #put(key: string, told: ToldPlace): void {
    this.#delete(key);
    this.#places.set(key, told);
    const group = this.#bySubscription.get(told.subscription) ?? new Map<string, ToldPlace>();
    group.set(key, told);
    this.#bySubscription.set(told.subscription, group);
  }

  #delete(key: string): void {
    const told = this.#places.get(key);
    if (!told) return;
    this.#places.delete(key);
    const group = this.#bySubscription.get(told.subscription);
    group?.delete(key);
    if (group?.size === 0) this.#bySubscription.delete(told.subscription);
  }
}

function keyOf({ topic, subscription, region }: ToldPlace): string {
  return `p/${topic}/${subscription}/${region}`;
}
