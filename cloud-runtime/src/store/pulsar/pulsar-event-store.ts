import { eventClasses, MeshError, type EventClass } from "@fleetmesh/core";
import { formatMessageId, parseMessageId } from "@fleetmesh/pulsar";
import type {
  AgentAppend,
  AgentReceipt,
  DirectAppend,
  DirectReceipt,
  EventStore,
  GroupPlaces,
  KnownWatermark,
  Page,
  Position,
  ReadLimit,
  RejectedRecord,
  ReplicatedAppend,
  StoredEvent,
  StoreLedger,
  TopicBounds,
} from "../event-store.ts";
import type { EngineSession, SessionOptions } from "./engine-session.ts";
import { topicStart } from "./message-place.ts";
import { unavailable, within } from "./store-ports.ts";
import { streamKey } from "./stream-table.ts";

const startPosition = formatMessageId(topicStart);
const settleMsMax = 10_000;

/** The region's event store on Pulsar: what its engine says, as long as this node has one. */
export class PulsarEventStore implements EventStore {
  readonly name = "event store (pulsar)";
  readonly #session: EngineSession;
  readonly #options: Pick<SessionOptions, "clock" | "watchers">;

  constructor(session: EngineSession, options: Pick<SessionOptions, "clock" | "watchers">) {
    this.#session = session;
    this.#options = options;
  }

  start(): Promise<void> {
    return this.#session.start();
  }

  stop(deadline: AbortSignal): Promise<void> {
    return this.#session.stop(deadline);
  }

  appendFromAgent(append: AgentAppend): Promise<AgentReceipt> {
    return this.#session.ask((engine) => engine.appendFromAgent(append));
  }

  appendDirect(append: DirectAppend): Promise<DirectReceipt> {
    return this.#session.ask((engine) => engine.appendDirect(append));
  }

  appendReplicated(append: ReplicatedAppend): Promise<{ readonly cursor: Position }> {
    return this.#session.ask((engine) => engine.appendReplicated(append));
  }

  watermarks(agentId: string, epoch: string): Promise<Partial<Record<EventClass, KnownWatermark>>> {
    return this.#session.ask(async ({ state, agents }) => {
      const known: Partial<Record<EventClass, KnownWatermark>> = {};
      for (const eventClass of eventClasses) {
        const key = streamKey({ agentId, epoch, eventClass });
        await this.#settled(agents.settled(key));
        const watermark = state.streams.watermark(key);
        const isSeen = watermark && watermark.sequence > 0;
        if (isSeen) known[eventClass] = { ...watermark, prints: state.streams.prints(key) };
      }
      return known;
    });
  }

  replicationCursor(originRegion: string, topic: string): Promise<Position | undefined> {
    return this.#session.ask(async ({ state, links }) => {
      await this.#settled(links.settled(originRegion, topic));
      return state.links.cursor(originRegion, topic);
    });
  }

  read(topic: string, after: Position, limit: ReadLimit): Promise<Page> {
    return this.#session.ask(async ({ topics }) => {
      const found = topics.all.get(topic);
      if (found) return found.read(after, limit);
      if (after === "earliest" || after === "latest" || after === startPosition)
        return { events: [], next: startPosition };
      const id = formatMessageId(parseMessageId(after));
      throw new MeshError("POSITION_INVALID", `"${id}" is not a position of ${topic}`);
    });
  }

  bounds(topic: string): Promise<TopicBounds> {
    const empty = { earliest: startPosition, latest: startPosition, stored: 0, trimmed: 0 };
    return this.#session.ask(async ({ topics }) => topics.all.get(topic)?.bounds() ?? empty);
  }

  positionAt(topic: string, timeMs: number): Promise<Position> {
    return this.#session.ask(
      async ({ topics }) => topics.all.get(topic)?.positionAt(timeMs) ?? startPosition,
    );
  }

  admit(topic: string): Promise<void> {
    return this.#session.ask((engine) => engine.admit(topic));
  }

  topics(): Promise<string[]> {
    return this.#session.ask(async (engine) => {
      await engine.readable();
      const stored = [...engine.state.topics.values()].filter((state) => state.stored > 0);
      return stored.map(({ topic }) => topic).sort();
    });
  }

  get groups(): GroupPlaces {
    const ask = this.#session.ask.bind(this.#session);
    return {
      tell: (topic, places) => ask((engine) => engine.groups.tell(topic, places)),
      told: (subscription) =>
        ask(async (engine) => {
          await engine.readable();
          return engine.groups.told(subscription);
        }),
      start: (topic, place) => ask((engine) => engine.groups.start(topic, place)),
    };
  }

  find(id: string, source?: string): Promise<StoredEvent[]> {
    return this.#session.ask(async (engine) => {
      await engine.readable();
      return engine.topics.search.find(id, source);
    });
  }

  rejected(limit: number): Promise<RejectedRecord[]> {
    return this.#session.ask((engine) => engine.rejected(limit));
  }

  ledger(): Promise<StoreLedger> {
    return this.#session.ask(async (engine) => {
      await engine.readable();
      return engine.state.ledger();
    });
  }

  onAppended(listener: (topics: readonly string[]) => void): () => void {
    return this.#options.watchers.add(listener);
  }

  trim(nowMs: number): Promise<void> {
    return this.#session.ask(async (engine) => {
      await engine.readable();
      engine.topics.trim(nowMs);
    });
  }

  remove(topic: string, last: Position): Promise<string | undefined> {
    return this.#session.ask((engine) => engine.remove(topic, last));
  }

  async #settled(promise: Promise<void>): Promise<void> {
    const late = (): MeshError => unavailable("What was answered cannot be read at the moment");
    await within(this.#options.clock, settleMsMax, { promise, late });
  }
}
