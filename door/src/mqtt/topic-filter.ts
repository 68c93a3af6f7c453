/** True when an MQTT topic filter matches a topic name (MQTT 3.1.1, 4.7). */
export function matchesFilter(filter: string, topic: string): boolean {
  if (filter === topic) return true;
  // [MQTT-4.7.2-1]
  if (topic.startsWith("$") && (filter.startsWith("+") || filter.startsWith("#"))) return false;
  const wanted = filter.split("/");
  const given = topic.split("/");
  for (let at = 0; at < wanted.length; at += 1) {
    if (wanted[at] === "#") return true;
    if (at >= given.length || (wanted[at] !== "+" && wanted[at] !== given[at])) return false;
  }
  return wanted.length === given.length;
}

export function hasWildcard(filter: string): boolean {
  return filter.includes("+") || filter.includes("#");
}
