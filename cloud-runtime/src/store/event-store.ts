import type {
  BlockEntry,
  ClassWatermark,
  EventClass,
  MeshEvent,
  Part,
  TailPrints,
} from "@fleetmesh/core";
import type { GroupPlace } from "./shared/group-place.ts";

/** Opaque, valid for one topic in one region. "earliest" and "latest" may be given wherever a position is read from. */
export type Position = string;

/** Where an event entered the mesh. Kept with it for order, audit and the trace. */
export interface Origin {
  readonly region: string;
  readonly agentId?: string | undefined;
  readonly epoch?: string | undefined;
  readonly eventClass?: EventClass | undefined;
  /** Position in the origin region's topic, for replicated events. */
  readonly position?: Position | undefined;
}

/** One stretch of an agent's class, in order, as decoded from the wire and checked against permissions by the ingress. */
export type AgentRun =
  | { readonly kind: "events"; readonly entries: readonly BlockEntry[] }
  | {
      readonly kind: "rejected";
      readonly entry: BlockEntry;
      readonly code: string;
      readonly reason: string;
    }
  | {
      readonly kind: "gap";
      readonly first: number;
      readonly last: number;
      readonly reason: "evicted" | "expired" | "damaged";
      readonly topics: Readonly<Record<string, number>>;
    };

export interface AgentAppend {
  readonly agentId: string;
  readonly epoch: string;
  readonly eventClass: EventClass;
  readonly first: number;
  readonly last: number;
  readonly runs: readonly AgentRun[];
}

/**
 * `stored`: what was new is durable. `duplicate`: all of it was handled before. `ahead`: refused, it starts beyond
 * watermark + 1; the agent must rewind.
 */
export interface AgentReceipt {
  readonly outcome: "stored" | "duplicate" | "ahead";
  readonly watermark: ClassWatermark;
}

/** With what tells the agent that sent the last of it from a copy of its buffer. */
export interface KnownWatermark extends ClassWatermark {
  /** Of the last sequences up to this one; fewer than there are when an older version stored them. */
  readonly prints: TailPrints;
}

export interface DirectAppend {
  readonly topic: string;
  readonly receivedMs: number;
  readonly events: readonly MeshEvent[];
}

export interface DirectReceipt {
  /** How many were new; the others were resends with the same bytes. */
  readonly stored: number;
}

export interface ReplicatedAppend {
  readonly topic: string;
  readonly originRegion: string;
  /** The link's cursor in the origin's topic before and after these entries; compared and advanced in the same transaction. */
  readonly cursorBefore: Position | undefined;
  readonly cursorAfter: Position;
  readonly entries: readonly {
    readonly position: Position;
    readonly entry: BlockEntry;
    readonly origin: Origin;
  }[];
}

export interface StoredEvent {
  readonly position: Position;
  readonly topic: string;
  readonly origin: Origin;
  readonly entry: BlockEntry;
  /** How its origin calls it in all regions: `<run>.<number>`. Only of events that were on their way to other regions. */
  readonly number?: string | undefined;
  /** When its origin sent it to its brokers; wall clock there. Of events of the mesh's own in a store that has brokers. */
  readonly sentMs?: number | undefined;
}

export interface ToldGroup {
  readonly subscription: string;
  readonly place: GroupPlace;
}

/** Where a group goes on in a topic: behind this position, before which the topic had stored so many events. */
export interface GroupStart {
  readonly position: Position;
  readonly count: number;
}

export interface HeardPlace {
  readonly topic: string;
  readonly place: GroupPlace;
  /** This region told it. */
  readonly isOwn: boolean;
}

/**
 * Regions tell each other where consumer groups are, so that a group can go on in another region where it was.
 * Errors: STORE_UNAVAILABLE, STOPPING.
 */
export interface GroupPlaces {
  /** Best effort: what is not told now is told with the next place. */
  tell(topic: string, places: readonly ToldGroup[]): Promise<void>;
  /** What was told last of this subscription's group, by topic and region. */
  told(subscription: string): Promise<readonly HeardPlace[]>;
  /** Not behind any event of this region's topic that the group has not had. */
  start(topic: string, place: GroupPlace): Promise<GroupStart>;
}

export interface Page {
  readonly events: readonly StoredEvent[];
  /** Where to go on; equals the given position when nothing followed. */
  readonly next: Position;
  /** The events that come next and do not read back any more. A page has events or these, never both; `next` is behind them. */
  readonly damaged?: readonly Position[] | undefined;
}

export interface ReadLimit {
  readonly countMax: number;
  readonly bytesMax: number;
}

export interface TopicBounds {
  /** Reading after this position gives the oldest kept event. */
  readonly earliest: Position;
  /** Reading after this position gives nothing yet. */
  readonly latest: Position;
  /** Events ever stored, and of those trimmed by retention. */
  readonly stored: number;
  readonly trimmed: number;
}

export interface RejectedRecord {
  readonly atMs: number;
  readonly origin: Origin;
  readonly entry: BlockEntry;
  readonly code: string;
  readonly reason: string;
}

/** What another region's seals say of its events, held against what came. sealed = arrived + repaired + lost + open. */
export interface ReplicationAccount {
  /** Events that were for this region, of the ranges that are sealed. */
  readonly sealed: number;
  readonly arrived: number;
  /** Found missing, ever. */
  readonly missing: number;
  readonly repaired: number;
  /** Given up: retention has taken them at their origin, or it does not answer. */
  readonly lost: number;
  /** Missing now. */
  readonly open: number;
  /** Came, though no seal has them. */
  readonly extra: number;
  /** Ranges that came whole with another digest. */
  readonly differing: number;
}

export interface StoreLedger {
  readonly topics: Readonly<
    Record<
      string,
      {
        readonly fromAgents: number;
        readonly direct: number;
        readonly replicated: number;
        readonly stored: number;
        readonly trimmed: number;
        /** Events that came again and were not stored again. */
        readonly duplicates: number;
        /** Found by a reader not to read back, each once for ever. */
        readonly damaged: number;
        /** stored = readable + trimmed + those of the damaged that retention has not taken. */
        readonly readable: number;
      }
    >
  >;
  readonly duplicates: {
    readonly agents: number;
    readonly direct: number;
    readonly replicated: number;
  };
  /** By topic and origin region, of a store that others replicate into. */
  readonly replication?: Readonly<Record<string, Readonly<Record<string, ReplicationAccount>>>>;
  /** Regions that events named by `meshregions` and that their topics do not go to. */
  readonly unknownRegions?: number;
  readonly rejected: number;
  readonly gaps: { readonly evicted: number; readonly expired: number; readonly damaged: number };
}

/**
 * The region's store of events.
 *
 * Guarantees
 * - An append resolves only when all of it is durable (fsynced); whole or not at all, in the order given, atomically with the
 *   watermark, the dedup identities, the link's cursor and the ledger's counters.
 * - Agents: exactly once per (agent, epoch, class, sequence). The watermark is contiguous. An append that starts at or below
 *   the watermark has its known prefix dropped; one that starts beyond watermark + 1 is `ahead` and changes nothing.
 * - Direct publishers: (source, id) is remembered for the last `directWindow` events of the store; within it the same bytes are
 *   taken again without being stored twice, other bytes are EVENT_CONFLICT with details.index, and nothing of that append is stored.
 * - Order: within one topic, reading gives events in the order in which appends were made durable; appends of one agent and
 *   class keep their sequence order.
 * - Retention trims from the head of a topic only; reading below it is POSITION_TRIMMED with details.earliest.
 * - What was stored and does not read back any more is passed over as a page of its own (`damaged`), never in silence, and only
 *   after the ledger has it durably; each event is counted once, however many read there.
 *
 * Errors: STORE_UNAVAILABLE (disk full, read-only: nothing stored, recovers by itself), EVENT_CONFLICT, LINK_BEHIND with
 * details.cursor, POSITION_TRIMMED, POSITION_INVALID, STOPPING.
 */
export interface EventStore extends Part {
  appendFromAgent(append: AgentAppend): Promise<AgentReceipt>;
  appendDirect(append: DirectAppend): Promise<DirectReceipt>;
  appendReplicated(append: ReplicatedAppend): Promise<{ readonly cursor: Position }>;
  /** What is known of an agent's epoch; classes never seen are absent. The prints are as durable as the watermark. */
  watermarks(agentId: string, epoch: string): Promise<Partial<Record<EventClass, KnownWatermark>>>;
  replicationCursor(originRegion: string, topic: string): Promise<Position | undefined>;

  read(topic: string, after: Position, limit: ReadLimit): Promise<Page>;
  bounds(topic: string): Promise<TopicBounds>;
  /** The position behind the last event stored before this wall-clock time: reading from it gives what came at or after it. */
  positionAt(topic: string, timeMs: number): Promise<Position>;
  topics(): Promise<string[]>;
  /**
   * Where brokers bring events by themselves: the topic is there, kept as this region keeps it, and what comes is seen from now on.
   * A store that nobody else can write to has no need of it.
   */
  admit?(topic: string): Promise<void>;
  /** Of a store whose regions replicate by brokers. */
  readonly groups?: GroupPlaces;
  /** Every stored event with this id, of one source or of all; newest first, at most 100. */
  find(id: string, source?: string): Promise<StoredEvent[]>;
  rejected(limit: number): Promise<RejectedRecord[]>;
  ledger(): Promise<StoreLedger>;
  /** Calls back after each durable append with the topics that grew. */
  onAppended(listener: (topics: readonly string[]) => void): () => void;
  /** Drops blocks older than the topic's retention or beyond its bytes; called by the store's own timer too. */
  trim(nowMs: number): Promise<void>;
  /**
   * Takes a topic away with all events up to `last`, its newest one, as if retention had taken them: should the topic come into
   * being again, its positions and counts go on. Answers why it is still there, in words, e.g. that events came behind `last`,
   * which stay; undefined when it is gone.
   */
  remove(topic: string, last: Position): Promise<string | undefined>;
}
