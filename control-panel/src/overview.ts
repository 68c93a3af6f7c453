import type { PanelConfig } from "./config.ts";

export interface Seen {
  readonly name: string;
  readonly url: string;
  readonly isUp: boolean;
  /** What the part says of itself; undefined while it does not answer. */
  readonly status: unknown;
}

export interface Overview {
  readonly regions: readonly Seen[];
  readonly agents: readonly Seen[];
}

const answerWithinMs = 2_000;

/** Asks every region and agent for its numbers, at the same time. One that does not answer is shown as down, never an error. */
export async function readOverview(config: PanelConfig): Promise<Overview> {
  const headers = { authorization: `Bearer ${config.token}` };
  const regions = config.regions.map((region) => see(region, "/v1/status", headers));
  const agents = config.agents.map((agent) => see(agent, "/status.json", {}));
  return { regions: await Promise.all(regions), agents: await Promise.all(agents) };
}

async function see(
  part: { name: string; url: string },
  path: string,
  headers: Record<string, string>,
): Promise<Seen> {
  const { name, url } = part;
  try {
    const response = await fetch(new URL(path, url), {
      headers,
      signal: AbortSignal.timeout(answerWithinMs),
    });
    const status: unknown = response.ok ? await response.json() : undefined;
    return { name, url, isUp: response.ok, status };
  } catch {
    return { name, url, isUp: false, status: undefined };
  }
}
