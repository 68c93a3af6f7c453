import { MeshError } from "@fleetmesh/core";
import { encodeEvent, type MessageId } from "@fleetmesh/pulsar";
import type { AgentAppend, AgentReceipt, AgentRun } from "../event-store.ts";
import { spansOf } from "../shared/agent-progress.ts";
import { encodeGap, encodeRejected } from "./journal.ts";
import { logsOf, mark, type LogWriter, type Outgoing } from "./log-writer.ts";
import { unavailable } from "./store-ports.ts";
import { stampFor } from "./stored-message.ts";
import { streamKey, StreamTable, watermarkOf } from "./stream-table.ts";
import type { TopicLog } from "./topic-log.ts";

/** A stream with appends that are not all folded yet. */
interface OpenStream {
  readonly key: string;
  /** What will be known when everything sent is folded. */
  readonly sent: StreamTable;
  /** The answers, in the order of the calls. */
  answered: Promise<void>;
  inHand: number;
  /** The last message of each topic that was acknowledged. */
  readonly marks: Map<TopicLog, MessageId>;
  /** Topics of sends that failed: nothing is taken until it is known what is stored. */
  readonly broken: Set<TopicLog>;
}

/** What an append sends, in order: nothing is sent before all of it is made. */
interface Plan {
  readonly outgoing: Outgoing[];
  /** Topics of the events that were known already, one each. */
  readonly repeats: string[];
  /** Events and rejections that were known already. */
  repeatCount: number;
}

export interface AgentStreamsOptions {
  readonly region: string;
  readonly folded: StreamTable;
  readonly writer: LogWriter;
  readonly wallMs: () => number;
  readonly logOf: (topic: string) => TopicLog;
  readonly journal: TopicLog;
  readonly onRepeats: (topics: readonly string[], count: number) => void;
}

/**
 * Agents' appends. Each (agent, epoch, class) is one stream: appends are judged against what was sent, not against what is folded,
 * so that one round trip answers each and many are under way; answers come in the order of the calls. When a send fails, all
 * appends behind it fail too, and the stream goes on only when it is known what is stored.
 */
export class AgentStreams {
  readonly #options: AgentStreamsOptions;
  readonly #open = new Map<string, OpenStream>();

  constructor(options: AgentStreamsOptions) {
    this.#options = options;
  }

  async append(append: AgentAppend): Promise<AgentReceipt> {
    const spans = spansOf(append);
    const stream = this.#stream(streamKey(append));
    if (stream.broken.size > 0)
      throw unavailable("It is being found out what is stored of the agent's last events");
    const before = watermarkOf(stream.sent, stream.key);
    if (append.first > before.sequence + 1) {
      await this.#answered(stream, Promise.resolve());
      return { outcome: "ahead", watermark: before };
    }
    const plan = this.#plan(append, stream);
    this.#options.writer.admit(plan.outgoing, append.agentId);
    // From here on nothing is refused: what is marked as sent is sent.
    this.#options.onRepeats(plan.repeats, plan.repeatCount);
    for (const { counts, first, last } of spans)
      stream.sent.add(stream.key, counts, { first, last });
    const watermark = watermarkOf(stream.sent, stream.key);
    const outcome = append.last <= before.sequence ? "duplicate" : "stored";
    const done = this.#answered(stream, this.#send(stream, plan.outgoing, append.agentId));
    await this.#options.writer.telling(plan.outgoing, done);
    return { outcome, watermark };
  }

  /** Resolves when everything of the stream that was answered is folded. */
  async settled(key: string): Promise<void> {
    const stream = this.#open.get(key);
    if (!stream) return;
    await stream.answered.catch(() => undefined);
    await Promise.all([...stream.marks].map(([log, id]) => log.reach(id)));
  }

  /** Lets go of streams whose answers are all folded: the fold knows them. */
  sweep(): void {
    for (const [key, stream] of this.#open) if (isFolded(stream)) this.#open.delete(key);
  }

  #stream(key: string): OpenStream {
    const found = this.#open.get(key);
    // The fold may know more than was sent here: what landed late, or came over another node.
    if (found && !isFolded(found)) return found;
    const sent = this.#options.folded.copyOf(key);
    const stream = {
      ...{ key, sent, answered: Promise.resolve(), inHand: 0 },
      ...{ marks: new Map<TopicLog, MessageId>(), broken: new Set<TopicLog>() },
    };
    this.#open.set(key, stream);
    return stream;
  }

  async #send(stream: OpenStream, outgoing: readonly Outgoing[], agentId: string): Promise<void> {
    const { marks, failure } = await this.#options.writer.send(outgoing, agentId);
    for (const [log, id] of marks) mark(stream.marks, log, id);
    if (failure === undefined) return;
    for (const log of logsOf(outgoing)) stream.broken.add(log);
    throw failure;
  }

  /** Answers come in order: what follows a failure fails, whatever became of its own messages. */
  async #answered(stream: OpenStream, done: Promise<void>): Promise<void> {
    const mine = inOrder(stream.answered, done);
    stream.answered = mine;
    stream.inHand += 1;
    try {
      await mine;
    } finally {
      stream.inHand -= 1;
      if (stream.inHand === 0 && stream.broken.size > 0) void this.#recover(stream);
    }
  }

  /** Never rejects: a store that stops leaves its streams broken. */
  async #recover(stream: OpenStream): Promise<void> {
    const agentId = stream.key.slice(stream.key.indexOf("/", 4) + 1);
    try {
      await Promise.all([...stream.broken].map((log) => log.recovered(agentId)));
      await Promise.all([...stream.marks].map(([log, id]) => log.reach(id)));
      this.#open.delete(stream.key);
    } catch {
      // Only a stop ends the wait.
    }
  }

  #plan(append: AgentAppend, stream: OpenStream): Plan {
    const plan: Plan = { outgoing: [], repeats: [], repeatCount: 0 };
    for (const run of append.runs) {
      if (run.kind === "events") this.#planEvents(append, run, { stream, plan });
      else if (run.kind === "rejected") this.#planRejected(append, run, { stream, plan });
      else this.#planGap(append, run, { stream, plan });
    }
    return plan;
  }

  #planEvents(append: AgentAppend, { entries }: RunOf<"events">, { stream, plan }: Planning): void {
    const { region, logOf } = this.#options;
    const { agentId, epoch, eventClass } = append;
    const origin = { region, agentId, epoch, eventClass };
    for (const entry of entries) {
      if (stream.sent.isKnown(stream.key, entry.sequence)) {
        plan.repeats.push(entry.topic);
        plan.repeatCount += 1;
        continue;
      }
      const message = encodeEvent(entry.event, stampFor(origin, entry));
      plan.outgoing.push({ log: logOf(entry.topic), message });
    }
  }

  #planRejected(append: AgentAppend, run: RunOf<"rejected">, { stream, plan }: Planning): void {
    const { entry, code, reason } = run;
    if (stream.sent.isKnown(stream.key, entry.sequence)) {
      plan.repeatCount += 1;
      return;
    }
    const { region, journal, wallMs } = this.#options;
    const { agentId, epoch, eventClass } = append;
    const stamp = stampFor({ region, agentId, epoch, eventClass }, entry);
    const message = encodeRejected(stamp, { entry, code, reason, atMs: wallMs() });
    plan.outgoing.push({ log: journal, message });
  }

  #planGap(append: AgentAppend, gap: RunOf<"gap">, { stream, plan }: Planning): void {
    const { sequence } = watermarkOf(stream.sent, stream.key);
    if (gap.last <= sequence) return;
    const { region, journal } = this.#options;
    const fresh = { ...gap, first: Math.max(gap.first, sequence + 1) };
    plan.outgoing.push({ log: journal, message: encodeGap(region, append, fresh) });
  }
}

/** Nothing is in hand, and the fold has all that was answered. */
function isFolded({ inHand, broken, marks }: OpenStream): boolean {
  if (inHand > 0 || broken.size > 0) return false;
  for (const [log, id] of marks) if (!log.state.has(id)) return false;
  return true;
}

type RunOf<Kind extends AgentRun["kind"]> = Extract<AgentRun, { kind: Kind }>;

interface Planning {
  readonly stream: OpenStream;
  readonly plan: Plan;
}

async function inOrder(before: Promise<void>, done: Promise<void>): Promise<void> {
  for (const result of await Promise.allSettled([before, done]))
    if (result.status === "rejected") throw MeshError.from(result.reason);
}
