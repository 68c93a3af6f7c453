import { MeshError } from "../error/mesh-error.ts";

export const topicLengthMax = 200;
const topicGrammar = /^[a-z0-9-]+(\.[a-z0-9-]+)*$/;
const patternGrammar = /^(?:[a-z0-9-]+|\*)(?:\.(?:[a-z0-9-]+|\*))*(?:\.>)?$|^>$/;

export function isTopic(text: string): boolean {
  return text.length <= topicLengthMax && topicGrammar.test(text);
}

export function isTopicPattern(text: string): boolean {
  return text.length <= topicLengthMax && patternGrammar.test(text);
}

export function assertTopic(text: string): void {
  if (isTopic(text)) return;
  throw new MeshError("TOPIC_INVALID", `"${text.slice(0, topicLengthMax)}" is not a topic name`);
}

export type TopicMatcher = (topic: string) => boolean;

/** Compiles a pattern: `*` is one segment, `>` one or more at the end; without them the pattern is a topic. */
export function compileTopicPattern(pattern: string): TopicMatcher {
  if (!isTopicPattern(pattern)) {
    throw new MeshError(
      "TOPIC_INVALID",
      `"${pattern.slice(0, topicLengthMax)}" is not a topic pattern`,
      {
        hint: "Use a topic, with * for one segment or > at the end for all the rest.",
      },
    );
  }
  if (pattern === ">") return () => true;
  if (!/[*>]/.test(pattern)) return (topic) => topic === pattern;
  const wanted = pattern.split(".");
  const isOpen = wanted.at(-1) === ">";
  if (isOpen) wanted.pop();
  return (topic) => {
    const given = topic.split(".");
    if (isOpen ? given.length <= wanted.length : given.length !== wanted.length) return false;
    return wanted.every((segment, at) => segment === "*" || segment === given[at]);
  };
}
