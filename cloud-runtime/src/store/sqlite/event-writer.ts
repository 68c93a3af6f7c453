import { emptyWatermark, MeshError, type ClassWatermark, type TailPrints } from "@fleetmesh/core";
import { progressOf, type Progress } from "../shared/agent-progress.ts";
import { grownTail } from "../shared/agent-tail.ts";
import { cutBlock, indexesAbove } from "./block-cut.ts";
import { CounterTable } from "./counter-table.ts";
import type { SqlDatabase } from "./sql-database.ts";
import type {
  AgentOp,
  DirectOp,
  PackedReject,
  ReplicatedOp,
  StoredBlock,
  StoreResult,
  TidyOp,
  TrimOp,
} from "./store-op.ts";
import { TopicTable } from "./topic-table.ts";
import { WindowTable } from "./window-table.ts";

export interface EventWriterOptions {
  readonly directWindow: number;
  readonly rejectedBytesMax: number;
  readonly rejectedMs: number;
}

interface AgentRow extends ClassWatermark {
  /** JSON. */
  readonly prints: string;
}

const unseen: AgentRow = { ...emptyWatermark, prints: "[]" };

/** Rows of one retention step: a few milliseconds, so that appends wait no longer than for another commit. */
const trimRowsMax = 64;

/** Decides and writes appends of events, inside the transaction of their group. A decision throws before it has written. */
export class EventWriter {
  readonly topics: TopicTable;
  readonly #db: SqlDatabase;
  readonly #options: EventWriterOptions;
  readonly #counters: CounterTable;
  readonly #selectAgent;
  readonly #upsertAgent;
  readonly #selectLink;
  readonly #upsertLink;
  readonly #insertReject;
  #window: WindowTable;

  constructor(db: SqlDatabase, options: EventWriterOptions) {
    this.#db = db;
    this.#options = options;
    this.topics = new TopicTable(db);
    this.#counters = new CounterTable(db);
    this.#window = new WindowTable(db, options.directWindow);
    this.#selectAgent = db.prepare(
      `SELECT sequence, stored, rejected, evicted, expired, damaged, prints FROM agent
       WHERE agent_id = ? AND epoch = ? AND class = ?`,
    );
    this.#upsertAgent = db.prepare(
      "INSERT OR REPLACE INTO agent VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#selectLink = db.prepare("SELECT cursor FROM link WHERE region = ? AND topic = ?");
    this.#upsertLink = db.prepare("INSERT OR REPLACE INTO link VALUES (?, ?, ?)");
    this.#insertReject = db.prepare("INSERT INTO rejected VALUES (NULL, ?, ?, ?, ?, ?, ?)");
  }

  agent(op: AgentOp, nowMs: number): StoreResult {
    const { agentId, epoch, rank } = op;
    const row = this.#selectAgent.get(agentId, epoch, rank) as AgentRow | undefined;
    const { prints, ...known } = row ?? unseen;
    const progress = progressOf(known, op.spans);
    const { outcome, watermark } = progress;
    this.#counters.add("duplicates.agents", progress.duplicates);
    if (outcome === "duplicate")
      for (const block of op.blocks) this.topics.repeated(block.topic, block.count);
    if (outcome !== "stored") return { kind: "agent", outcome, watermark, stored: [] };
    const meta = JSON.stringify({ agentId, epoch, rank });
    const stored = this.#storeBlocks(op, { progress, nowMs, meta });
    for (const reject of op.rejects)
      if (reject.sequence > progress.known) this.#reject(reject, { nowMs, meta });
    this.#counters.add("rejected", progress.added.rejected);
    for (const reason of ["evicted", "expired", "damaged"] as const)
      this.#counters.add(`gaps.${reason}`, progress.added[reason]);
    const w = watermark;
    const counts = [w.sequence, w.stored, w.rejected, w.evicted, w.expired, w.damaged];
    const added = w.sequence - progress.known;
    const tail = grownTail(JSON.parse(prints) as TailPrints, op.prints, added);
    this.#upsertAgent.run(agentId, epoch, rank, ...counts, JSON.stringify(tail));
    return { kind: "agent", outcome, watermark, stored };
  }

  direct(op: DirectOp, nowMs: number): StoreResult {
    const kept = this.#window.take(op.identities);
    const repeated = op.block.count - kept.length;
    this.#counters.add("duplicates.direct", repeated);
    this.topics.repeated(op.block.topic, repeated);
    const block = cutBlock(op.block, kept);
    const first = block ? this.topics.append(block, "direct", { nowMs, meta: null }) : 0;
    return { kind: "direct", first, kept };
  }

  replicated(op: ReplicatedOp, nowMs: number): StoreResult {
    const row = this.#selectLink.get(op.originRegion, op.topic) as { cursor: string } | undefined;
    const cursor = row?.cursor;
    if (cursor !== op.before) {
      if (cursor === op.after) {
        this.#counters.add("duplicates.replicated", op.count);
        this.topics.repeated(op.topic, op.count);
      }
      throw new MeshError("LINK_BEHIND", `The cursor of ${op.topic} is elsewhere`, {
        details: { cursor },
      });
    }
    this.#upsertLink.run(op.originRegion, op.topic, op.after);
    const { block, meta } = op;
    const first = block ? this.topics.append(block, "replicated", { nowMs, meta }) : 0;
    return { kind: "replicated", first };
  }

  trim({ topic, ...limits }: TrimOp): StoreResult {
    const step = this.topics.trim(topic, { ...limits, rowsMax: trimRowsMax });
    return { kind: "trimmed", trimmed: step.trimmed, hasMore: step.hasMore };
  }

  /** Rejected events are kept for their time and within their bytes; the count of them stays for ever. */
  tidy({ nowMs }: TidyOp): void {
    const { rejectedBytesMax, rejectedMs } = this.#options;
    this.#db.prepare("DELETE FROM rejected WHERE at_ms < ?").run(nowMs - rejectedMs);
    const select = this.#db.prepare("SELECT id, bytes FROM rejected ORDER BY id DESC");
    let total = 0;
    for (const row of select.all() as { id: number; bytes: number }[]) {
      total += row.bytes;
      if (total <= rejectedBytesMax) continue;
      this.#db.prepare("DELETE FROM rejected WHERE id <= ?").run(row.id);
      return;
    }
  }

  flush(): void {
    this.topics.flush();
    this.#window.flush();
    this.#counters.flush();
  }

  committed(): void {
    this.#window.committed();
  }

  /** After a rollback: memory is made to say what the file says. */
  rolledBack(): void {
    this.topics.reset();
    this.#counters.reset();
    if (this.#window.isDirty) this.#window = new WindowTable(this.#db, this.#options.directWindow);
  }

  #storeBlocks(
    op: AgentOp,
    { progress, nowMs, meta }: { progress: Progress; nowMs: number; meta: string },
  ): StoredBlock[] {
    const isWhole = progress.duplicates === 0;
    const stored: StoredBlock[] = [];
    for (const block of op.blocks) {
      const fresh = isWhole ? block : cutBlock(block, indexesAbove(block, progress.known));
      this.topics.repeated(block.topic, block.count - (fresh?.count ?? 0));
      if (!fresh) continue;
      const first = this.topics.append(fresh, "fromAgents", { nowMs, meta });
      stored.push({ topic: block.topic, first, skipped: block.count - fresh.count });
    }
    return stored;
  }

  #reject({ code, reason, bytes }: PackedReject, at: { nowMs: number; meta: string }): void {
    this.#insertReject.run(at.nowMs, bytes.length + 256, code, reason, at.meta, bytes);
  }
}
