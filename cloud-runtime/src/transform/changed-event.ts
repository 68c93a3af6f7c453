import {
  EventDraft,
  MeshError,
  type AttributeValue,
  type DataKind,
  type MeshEvent,
} from "@fleetmesh/core/base";
import { transformFailed } from "./transform-failed.ts";

export interface EventData {
  readonly data: Uint8Array | undefined;
  readonly dataKind: DataKind;
}

/** A valid event of attributes and data. Throws TRANSFORM_FAILED naming the attribute that is wrong or missing. */
export function changedEvent(
  attributes: Iterable<readonly [name: string, value: AttributeValue]>,
  { data, dataKind }: EventData,
): MeshEvent {
  const draft = new EventDraft();
  draft.specversion = "1.0";
  try {
    for (const [name, value] of attributes)
      if (name !== "specversion" || value !== "1.0") setChecked(draft, name, value);
    draft.data = data;
    draft.dataKind = dataKind;
    return draft.finish();
  } catch (error) {
    if (MeshError.is(error, "EVENT_INVALID"))
      throw transformFailed("result", `The event that it makes is not valid: ${error.message}`);
    throw error;
  }
}

/** All attributes of an event but `specversion`, in its order. */
export function* attributesOf(
  event: MeshEvent,
): Generator<readonly [name: string, value: AttributeValue]> {
  for (const name of coreNames) {
    const value = event[name];
    if (value !== undefined) yield [name, value];
  }
  yield* event.extensions;
}

const coreNames = [
  "id",
  "source",
  "type",
  "subject",
  "time",
  "datacontenttype",
  "dataschema",
] as const;

function setChecked(draft: EventDraft, name: string, value: AttributeValue): void {
  if (typeof value === "number" && (value | 0) !== value)
    throw transformFailed("result", `"${name}" must be a whole number of 32 bits`);
  draft.set(name, value);
}
