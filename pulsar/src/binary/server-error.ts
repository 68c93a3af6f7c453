import { MeshError, type ErrorName } from "@fleetmesh/core";
import type { ProtobufFields } from "./protobuf-fields.ts";

/** Those of Pulsar's error numbers that mean something else than "not now". */
const kinds: Readonly<Record<number, ErrorName>> = {
  3: "PULSAR_DENIED",
  4: "PULSAR_DENIED",
  5: "PULSAR_FENCED",
  11: "TOPIC_UNKNOWN",
  16: "PULSAR_FENCED",
  17: "TOPIC_UNKNOWN",
  25: "PULSAR_FENCED",
};

export interface ServerErrorPlace {
  /** The fields of the error's number and of its text. */
  readonly code: number;
  readonly text: number;
  /** What was asked, and which permission it takes: `producing to "x" (needs the permission produce)`. */
  readonly asked: string;
}

/** What the broker answered instead of success. */
export function serverError(answer: ProtobufFields, place: ServerErrorPlace): MeshError {
  const code = answer.number(place.code) ?? 0;
  const text = answer.text(place.text).slice(0, 500);
  return new MeshError(
    kinds[code] ?? "PULSAR_UNAVAILABLE",
    `Pulsar refused ${place.asked}: ${text}`,
  );
}
