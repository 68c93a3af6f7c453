/** Classes of importance on the vehicle, most important first: the order in which they leave and the reverse of eviction. */
export const eventClasses = ["critical", "normal", "bulk"] as const;
export type EventClass = (typeof eventClasses)[number];

/** The number that stands for a class on disk and on the wire. Never renumber. */
export function classRank(eventClass: EventClass): number {
  return eventClasses.indexOf(eventClass);
}

export function classOfRank(rank: number): EventClass | undefined {
  return eventClasses[rank];
}
