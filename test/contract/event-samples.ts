import { noExtensions, type BlockEntry, type EventClass, type MeshEvent } from "@fleetmesh/core";
import type { AgentAppend, AgentRun } from "@fleetmesh/cloud-runtime";

export function sampleEvent(id: string, more: Partial<MeshEvent> = {}): MeshEvent {
  return {
    id,
    source: "/vehicle/7",
    type: "speed",
    subject: undefined,
    time: undefined,
    datacontenttype: "application/json",
    dataschema: undefined,
    extensions: noExtensions,
    data: Buffer.from(`{"id":"${id}"}`),
    dataKind: "json",
    ...more,
  };
}

export function sampleEntry(
  topic: string,
  sequence: number,
  event = sampleEvent(`e${sequence}`),
): BlockEntry {
  return { topic, sequence, receivedMs: 1_750_000_000_000 + sequence, event };
}

export interface AgentSample {
  readonly agentId?: string;
  readonly epoch?: string;
  readonly eventClass?: EventClass;
  readonly first: number;
  readonly last: number;
  readonly topicOf?: (sequence: number) => string;
}

/** An agent's batch of events only. */
export function agentEvents(sample: AgentSample): AgentAppend {
  const { first, last, topicOf = () => "vehicle.speed" } = sample;
  const entries: BlockEntry[] = [];
  for (let sequence = first; sequence <= last; sequence += 1)
    entries.push(sampleEntry(topicOf(sequence), sequence));
  return agentRuns(sample, [{ kind: "events", entries }]);
}

export function agentRuns(sample: AgentSample, runs: readonly AgentRun[]): AgentAppend {
  const {
    agentId = "car-7",
    epoch = "00000000000000aa",
    eventClass = "normal",
    first,
    last,
  } = sample;
  return { agentId, epoch, eventClass, first, last, runs };
}
