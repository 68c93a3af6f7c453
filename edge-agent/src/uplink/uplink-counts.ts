/** What the uplink tells for metrics. Called on the event path: must be cheap and must not throw. */
export interface UplinkObserver {
  /** A batch's bytes on the wire, shared out over its topics by the size of their events. */
  sent(bytesByTopic: ReadonlyMap<string, number>): void;
  count(what: UplinkCount, by: number): void;
}

/**
 * `resends`: batches sent again. `rewinds`: asked for by the region. `lost`: events that the region had confirmed and does
 * not have any more. `rejected`: events that the region refused for good. `undeliverable`: events kept aside because no
 * message with them could be made or read.
 */
export type UplinkCount =
  "batches" | "resends" | "rewinds" | "reconnects" | "lost" | "rejected" | "undeliverable";

export const silentObserver: UplinkObserver = { sent: () => undefined, count: () => undefined };
