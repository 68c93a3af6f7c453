import { MeshError } from "@fleetmesh/core";
import type { Command } from "commander";
import type { ApiClient } from "../api-client.ts";
import { meshOf, outputOf, type MeshClients } from "../context.ts";

export function addTrace(program: Command): void {
  program
    .command("trace")
    .summary("show what happened to an event")
    .description(
      "Show the way of an event: where it entered, where it is stored, what each subscription decided and did, in every region that the context knows.",
    )
    .argument("<event-id>")
    .option("--source <uri>", "only the event of this source")
    .action(async (id: string, options: { source?: string }, command: Command) => {
      const mesh = meshOf(command);
      const path =
        options.source === undefined
          ? `/v1/events?id=${encodeURIComponent(id)}`
          : tracePath(options.source, id);
      const found = await Promise.all(mesh.regions.map((region) => ask(region, path)));
      const traces = found.flatMap((one) => one.traces).sort(enteredFirst);
      if (traces.length === 0) throw await notFound(found, mesh);
      const output = outputOf(command);
      for (const { name, error } of found)
        if (error !== undefined && error.kind !== "NOT_FOUND")
          output.note(`${name ?? "The region"} was not asked: ${error.message}`);
      output.one({ traces });
    });
}

interface Trace {
  readonly region?: string;
  readonly origin?: { readonly region?: string };
}

interface Found {
  readonly name: string | undefined;
  readonly traces: readonly Trace[];
  readonly error?: MeshError;
}

async function ask(
  { name, client }: { readonly name: string | undefined; readonly client: ApiClient },
  path: string,
): Promise<Found> {
  try {
    const { traces } = (await client.json(path)) as { readonly traces: readonly Trace[] };
    const placed = name === undefined ? traces : traces.map((one) => ({ region: name, ...one }));
    return { name, traces: placed };
  } catch (error) {
    return { name, traces: [], error: MeshError.from(error) };
  }
}

/** The region where it entered the mesh before those that it was replicated to. */
function enteredFirst(one: Trace, other: Trace): number {
  return Number(isReplicated(one)) - Number(isReplicated(other));
}

function isReplicated({ region, origin }: Trace): boolean {
  return origin?.region !== undefined && origin.region !== region;
}

/** A region that could not be asked matters more than one that has nothing. */
async function notFound(found: readonly Found[], { agents }: MeshClients): Promise<MeshError> {
  const errors = found.flatMap(({ error }) => error ?? []);
  const cause = errors.find(({ kind }) => kind !== "NOT_FOUND") ?? errors[0];
  if (cause === undefined) return new MeshError("NOT_FOUND", "No region has this event");
  const held = await Promise.all(agents.map(heldBy));
  const hint = held.filter((text) => text !== "").join(" ");
  return hint === "" || cause.kind !== "NOT_FOUND"
    ? cause
    : new MeshError("NOT_FOUND", cause.message, { hint });
}

interface AgentStatus {
  readonly agentId: string;
  readonly uplink: { readonly state: string };
  readonly ledger: { readonly queued: number };
}

/** The event may still be on its way: what an agent holds the regions cannot know. */
async function heldBy({ url, client }: MeshClients["agents"][number]): Promise<string> {
  try {
    const { agentId, uplink, ledger } = (await client.json("/status.json")) as AgentStatus;
    if (ledger.queued === 0) return "";
    return `It may still be at agent ${agentId}, which holds ${ledger.queued} events (uplink: ${uplink.state}, ${url}).`;
  } catch {
    return `Agent at ${url} does not answer: what it holds is not known.`;
  }
}

function tracePath(source: string, id: string): string {
  return `/v1/events/${encodeURIComponent(source)}/${encodeURIComponent(id)}/trace`;
}
