import { noExtensions, type Extension, type MeshEvent } from "@fleetmesh/core";
import type { Subscription } from "../src/metadata/metadata.ts";

/** A subscription with sane, quick settings; what a test is about is given. */
export function sampleSubscription(over: Partial<Subscription> = {}): Subscription {
  return {
    id: "s1",
    topic: "vehicle.telemetry",
    consumergroup: "default",
    filters: [],
    sink: "http://127.0.0.1:9/",
    protocol: "HTTP",
    protocolsettings: {},
    delivery: {
      maxAttempts: 5,
      backoff: { initialMs: 10, maxMs: 100 },
      timeoutMs: 1_000,
      windowMax: 8,
      ordered: true,
    },
    state: "active",
    revision: 1,
    createdMs: 0,
    ...over,
  };
}

export interface SampleEvent {
  readonly id: string;
  readonly source?: string;
  readonly type?: string;
  readonly subject?: string;
  readonly extensions?: readonly Extension[];
  readonly data?: string;
}

export function sampleEvent(of: SampleEvent): MeshEvent {
  return {
    id: of.id,
    source: of.source ?? "urn:vehicle:1",
    type: of.type ?? "speed.changed",
    subject: of.subject,
    time: undefined,
    datacontenttype: "application/json",
    dataschema: undefined,
    extensions: of.extensions ?? noExtensions,
    data: Buffer.from(of.data ?? "{}"),
    dataKind: "json",
  };
}
