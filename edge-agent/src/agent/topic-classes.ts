import { compileTopicPattern, type EventClass, type TopicMatcher } from "@fleetmesh/core";

export interface ClassRule {
  readonly topic: string;
  readonly class: EventClass;
}

/** The topics that the rules name without a wildcard, each with the class that it has. */
export function namedTopics(
  rules: readonly ClassRule[],
): { readonly topic: string; readonly eventClass: EventClass }[] {
  const classes = new TopicClasses(rules);
  const names = rules.map(({ topic }) => topic).filter((topic) => !/[*>]/.test(topic));
  return [...new Set(names)].map((topic) => ({ topic, eventClass: classes.of(topic) }));
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
