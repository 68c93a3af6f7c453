import { compileTopicPattern, type EventClass, type TopicMatcher } from "@fleetmesh/core";

export interface ClassRule {
  readonly topic: string;
  readonly class: EventClass;
}

const rememberedMax = 1_000;

/** The class of each topic: the first rule that matches, else `normal`. Remembered, because rules are asked for every event. */
export class TopicClasses {
  readonly #rules: readonly { readonly matches: TopicMatcher; readonly eventClass: EventClass }[];
  readonly #remembered = new Map<string, EventClass>();

  constructor(rules: readonly ClassRule[]) {
    this.#rules = rules.map((rule) => ({
      matches: compileTopicPattern(rule.topic),
      eventClass: rule.class,
    }));
  }

  of(topic: string): EventClass {
    const known = this.#remembered.get(topic);
    if (known !== undefined) return known;
    const found = this.#rules.find(({ matches }) => matches(topic))?.eventClass ?? "normal";
    if (this.#remembered.size < rememberedMax) this.#remembered.set(topic, found);
    return found;
  }
}
