/** A place in a topic of one region, as that region gave it out. */
export type Position = string;

export interface Want {
  readonly pattern: string;
  /** The region's wall clock when somebody first subscribed. */
  readonly sinceMs: number;
}

export interface RegionState {
  readonly region: string;
  readonly wants: readonly Want[];
  readonly topics: readonly string[];
  /** Stands for the above; given back to wait for a change. */
  readonly tag: string;
  /** The region's wall clock when it answered. */
  readonly nowMs: number;
}

/** Events of one topic that entered the mesh in the region read from; the bytes are for the other region only. */
export interface LinkPage {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Events that were passed over because they name other regions. */
  readonly withheld: number;
  readonly next: Position;
  readonly hasMore: boolean;
  /** When the newest of the events was taken, and the time of the answer, by that region's clock. */
  readonly newestMs: number;
  readonly nowMs: number;
}

export interface LinkCursor {
  /** Behind the last event that arrived over the link; undefined before the first. */
  readonly cursor: Position | undefined;
  /** The receiving topic's own end at that moment. */
  readonly latest: Position;
}

export interface Seal {
  readonly count: number;
  readonly digest: string;
  readonly isWhole: boolean;
}

/**
 * One region, as a bridge sees it.
 * Guarantees: `append` is stored durably and whole, together with the cursor's move, or not at all; when it resolves or
 * LINK_BEHIND names the cursor behind the page, it is stored.
 * Errors: LINK_UNAVAILABLE, LINK_BEHIND, POSITION_TRIMMED, POSITION_INVALID, TOKEN_INVALID, NOT_PERMITTED, TOPIC_UNKNOWN.
 */
export interface RegionLink {
  readonly region: string;
  /** At once without `known`; with it, when the state differs from it or the wait is over. */
  state(known: string | undefined, waitMs: number, signal: AbortSignal): Promise<RegionState>;
  positionAt(topic: string, atMs: number, signal: AbortSignal): Promise<Position>;
  read(request: ReadRequest, signal: AbortSignal): Promise<LinkPage>;
  cursor(origin: string, topic: string, signal: AbortSignal): Promise<LinkCursor>;
  append(request: AppendRequest, signal: AbortSignal): Promise<void>;
  /** From now on the region takes the topic's events that its own brokers bring; the topic is there, kept as the region keeps it. */
  admit(topic: string, signal: AbortSignal): Promise<void>;
  seal(request: SealRequest, signal: AbortSignal): Promise<Seal>;
  close(): Promise<void>;
}

export interface ReadRequest {
  readonly topic: string;
  /** The region that they are for. */
  readonly to: string;
  readonly after: Position;
  readonly countMax: number;
  readonly waitMs: number;
}

export interface AppendRequest {
  readonly topic: string;
  readonly origin: string;
  readonly before: Position | undefined;
  readonly page: Uint8Array;
}

export interface SealRequest {
  readonly topic: string;
  readonly origin: string;
  /** At the origin: the region that they are for. */
  readonly to?: string;
  readonly after: Position;
  readonly until: Position;
}
