import { agentMadeId } from "../event/agent-made-id.ts";
import type { BlockEntry } from "../event/block.ts";
import type { MeshEvent } from "../event/event.ts";
import type { EventClass } from "../topic/event-class.ts";
import { readAttribute, readRequired, writeAttribute } from "./attribute-column.ts";
import { numbersOf } from "./column-memory.ts";
import { readData, writeData } from "./data-column.ts";
import { readExtensions, writeExtensions } from "./extension-column.ts";
import { readReceived, writeReceived } from "./received-column.ts";
import type { SectionReader } from "./section-reader.ts";
import type { SectionWriter } from "./section-writer.ts";

/** Whose events they are: enough to make again the ids that the agent made. */
export interface Numbering {
  readonly epoch: string;
  readonly eventClass: EventClass;
}

/** All events of a batch, attribute by attribute, in the order of this list. An absent id is the agent-made one. */
export function writeEvents(
  out: SectionWriter,
  entries: readonly BlockEntry[],
  { epoch, eventClass }: Numbering,
): void {
  const events = entries.map((entry) => entry.event);
  writeAttribute(
    out,
    entries.map((entry) => entry.topic),
  );
  writeReceived(
    out,
    numbersOf(entries, (entry) => entry.receivedMs),
  );
  writeAttribute(
    out,
    entries.map(({ sequence, event }) =>
      event.id.startsWith(epoch) && event.id === agentMadeId(epoch, eventClass, sequence)
        ? undefined
        : event.id,
    ),
  );
  for (const name of [
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
  ] as const)
    writeAttribute(
      out,
      events.map((event) => event[name]),
    );
  writeExtensions(
    out,
    events.map((event) => event.extensions),
  );
  writeData(out, events);
}

/** The events of these sequences. */
export function readEvents(
  input: SectionReader,
  sequences: readonly number[],
  { epoch, eventClass }: Numbering,
): BlockEntry[] {
  const count = sequences.length;
  input.hold(eventBytes * count);
  const topics = readRequired(input, count);
  const received = readReceived(input, count);
  const ids = readAttribute(input, count);
  const sources = readRequired(input, count);
  const types = readRequired(input, count);
  const subjects = readAttribute(input, count);
  const times = readAttribute(input, count);
  const contentTypes = readAttribute(input, count);
  const schemas = readAttribute(input, count);
  const extensions = readExtensions(input, count);
  const data = readData(input, count);
  return sequences.map((sequence, row) => {
    const event: MeshEvent = {
      id: ids[row] ?? agentMadeId(epoch, eventClass, sequence),
      source: sources[row] ?? "",
      type: types[row] ?? "",
      subject: subjects[row],
      time: times[row],
      datacontenttype: contentTypes[row],
      dataschema: schemas[row],
      extensions: extensions[row] ?? [],
      data: data[row]?.data,
      dataKind: data[row]?.dataKind ?? "binary",
    };
    return { topic: topics[row] ?? "", sequence, receivedMs: received[row] ?? 0, event };
  });
}

/** About what an event takes in memory beside its texts and data, in relation to the least it takes as bytes. */
const eventBytes = 256;
