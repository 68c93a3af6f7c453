import { noExtensions, type MeshEvent } from "@fleetmesh/core";

export interface TopicEvent {
  readonly topic: string;
  readonly event: MeshEvent;
}

export interface DriveEventParts {
  /** Empty = the agent makes it. */
  readonly id: string;
  /** A name that says nothing about the owner. */
  readonly pseudonym: string;
  readonly type: string;
  readonly wallMs: number;
  readonly data: unknown;
}

export function driveEvent(parts: DriveEventParts): MeshEvent {
  return {
    id: parts.id,
    source: `urn:vehicle:${parts.pseudonym}`,
    type: parts.type,
    subject: parts.pseudonym,
    time: new Date(parts.wallMs).toISOString(),
    datacontenttype: "application/json",
    dataschema: undefined,
    extensions: noExtensions,
    data: Buffer.from(JSON.stringify(parts.data)),
    dataKind: "json",
  };
}
