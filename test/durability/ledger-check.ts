import type { MeshProcesses } from "./mesh-processes.ts";

interface SubscriptionBooks {
  readonly id: string;
  readonly pending: number;
  readonly deadLettered: number;
  readonly difference: number;
}

export interface RegionLedger {
  readonly region: string;
  readonly topics: readonly {
    readonly topic: string;
    readonly stored: number;
    readonly fromAgents: number;
    readonly direct: number;
    readonly replicated: number;
    readonly difference: number;
  }[];
  readonly rejected: number;
  readonly gaps: Readonly<Record<"evicted" | "expired" | "damaged", number>>;
  readonly subscriptions: readonly SubscriptionBooks[];
  readonly difference: number;
}

export interface EdgeTotal {
  readonly produced: number;
  readonly stored: number;
  readonly queued: number;
  readonly expired: number;
  readonly evicted: number;
  readonly rejected: number;
  readonly lost: number;
  readonly difference: number;
}

export interface Ledgers {
  readonly east: RegionLedger;
  readonly west: RegionLedger;
  readonly edge: EdgeTotal;
}

export async function readLedgers(mesh: MeshProcesses): Promise<Ledgers> {
  const [east, west, edge] = await Promise.all([
    mesh.json(1, "/v1/ledger"),
    mesh.json(2, "/v1/ledger"),
    mesh.json(22, "/v1/ledger"),
  ]);
  return {
    east: east as RegionLedger,
    west: west as RegionLedger,
    edge: (edge as { total: EdgeTotal }).total,
  };
}

export function storedOf(ledger: RegionLedger, topic: string): number {
  return ledger.topics.find((counts) => counts.topic === topic)?.stored ?? 0;
}

export function isSettled({ east, west, edge }: Ledgers, topics: readonly string[]): boolean {
  const pending = [...east.subscriptions, ...west.subscriptions].map((books) => books.pending);
  const areEven = topics.every((topic) => storedOf(east, topic) === storedOf(west, topic));
  return edge.queued === 0 && areEven && pending.every((count) => count === 0);
}

/** Every way in which the books do not balance; none at rest. */
export function ledgerFaults({ east, west, edge }: Ledgers): string[] {
  const faults: string[] = [];
  for (const ledger of [east, west]) {
    if (ledger.difference !== 0) faults.push(`${ledger.region}: ${JSON.stringify(ledger)}`);
    for (const books of ledger.subscriptions)
      if (books.deadLettered !== 0) faults.push(`${books.id}: ${JSON.stringify(books)}`);
  }
  if (edge.difference !== 0) faults.push(`edge: ${JSON.stringify(edge)}`);
  const fromAgents = east.topics.reduce((sum, counts) => sum + counts.fromAgents, 0);
  if (edge.stored !== fromAgents)
    faults.push(`the edge counts ${edge.stored} stored, cn-east ${fromAgents} from agents`);
  const { evicted, expired, damaged } = east.gaps;
  if (edge.evicted !== evicted) faults.push(`evicted: edge ${edge.evicted}, cn-east ${evicted}`);
  if (edge.expired !== expired) faults.push(`expired: edge ${edge.expired}, cn-east ${expired}`);
  if (edge.lost !== damaged) faults.push(`lost: edge ${edge.lost}, cn-east ${damaged}`);
  return faults;
}
