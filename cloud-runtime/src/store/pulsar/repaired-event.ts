import type { StoredEvent } from "../event-store.ts";

/** What an event carries for its readers when its place among the others says nothing: it was repaired, or came late. */
export const repairedExtension = "meshrepaired";

export function flagged(stored: StoredEvent): StoredEvent {
  const { event } = stored.entry;
  if (event.extensions.some(([name]) => name === repairedExtension)) return stored;
  const extensions = [...event.extensions, [repairedExtension, true] as const];
  return { ...stored, entry: { ...stored.entry, event: { ...event, extensions } } };
}
