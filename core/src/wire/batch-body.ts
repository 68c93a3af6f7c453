import type { BlockEntry } from "../event/block.ts";
import { classOfRank, classRank } from "../topic/event-class.ts";
import { fromByteText, toByteText } from "./byte-text.ts";
import { readEvents, writeEvents } from "./event-columns.ts";
import { readEpoch, writeEpoch } from "./epoch.ts";
import type { GapReason, Segment, WireBatch } from "./message.ts";
import type { SectionReader, WireLimits } from "./section-reader.ts";
import type { SectionWriter } from "./section-writer.ts";
import { wireInvalid, wireTooLarge } from "./wire-invalid.ts";

/**
 * The body of a batch: agent id as a text, 64 bits epoch, 2 bits class, varint first sequence, varint number of
 * segments, and for each 1 bit: 0 events, varint how many; 1 gap, varint how many sequences, 2 bits reason, varint
 * number of topics, and for each its name as a text and a varint count. Then the columns of all events
 * (event-columns.ts). A segment starts where the one before ended.
 */
const gapReasons: readonly GapReason[] = ["evicted", "expired", "damaged"];

export function writeBatch(out: SectionWriter, batch: WireBatch): void {
  const { numbers } = out;
  out.text(toByteText(batch.agentId));
  writeEpoch(numbers, batch.epoch);
  numbers.bits(classRank(batch.eventClass), 2);
  numbers.varint(batch.first);
  numbers.varint(batch.segments.length);
  const entries: BlockEntry[] = [];
  let next = batch.first;
  for (const segment of batch.segments) {
    if (segment.first !== next)
      throw wireInvalid(`a segment starts at ${segment.first}, not ${next}`);
    next = segment.kind === "gap" ? writeGap(out, segment) : writeRun(out, segment, entries);
  }
  if (next !== batch.last + 1)
    throw wireInvalid(`the segments end at ${next - 1}, not ${batch.last}`);
  writeEvents(out, entries, batch);
}

type EventSegment = Extract<Segment, { kind: "events" }>;
type GapSegment = Extract<Segment, { kind: "gap" }>;

/** Returns the sequence behind the segment. */
function writeRun(out: SectionWriter, { first, entries }: EventSegment, all: BlockEntry[]): number {
  out.numbers.bits(0, 1);
  out.numbers.varint(entries.length);
  let next = first;
  for (const entry of entries) {
    if (entry.sequence !== next)
      throw wireInvalid(`an event has sequence ${entry.sequence}, not ${next}`);
    next += 1;
    all.push(entry);
  }
  return next;
}

function writeGap(out: SectionWriter, gap: GapSegment): number {
  const { numbers } = out;
  if (gap.last < gap.first) throw wireInvalid("a gap ends before it starts");
  numbers.bits(1, 1);
  numbers.varint(gap.last - gap.first + 1);
  numbers.bits(gapReasons.indexOf(gap.reason), 2);
  const topics = Object.entries(gap.topics);
  numbers.varint(topics.length);
  for (const [topic, count] of topics) {
    out.text(toByteText(topic));
    numbers.varint(count);
  }
  return gap.last + 1;
}

export function readBatch(input: SectionReader, limits: WireLimits): WireBatch {
  const { numbers } = input;
  const agentId = fromByteText(input.text());
  const epoch = readEpoch(numbers);
  const eventClass = classOfRank(numbers.bits(2));
  if (eventClass === undefined) throw wireInvalid("there is no such class");
  const first = numbers.varint();
  const plan = readPlan(input, first, limits);
  const entries = readEvents(input, plan.sequences, { epoch, eventClass });
  input.assertEnd();
  let taken = 0;
  const segments = plan.segments.map((segment): Segment => {
    if (segment.kind === "gap") return segment;
    const start = taken;
    taken += segment.count;
    return { kind: "events", first: segment.first, entries: entries.slice(start, taken) };
  });
  return { kind: "batch", agentId, epoch, eventClass, first, last: plan.last, segments };
}

interface RunPlan {
  readonly kind: "run";
  readonly first: number;
  readonly count: number;
}

interface BatchPlan {
  readonly segments: readonly (GapSegment | RunPlan)[];
  readonly sequences: readonly number[];
  readonly last: number;
}

function readPlan(input: SectionReader, first: number, limits: WireLimits): BatchPlan {
  const segments: (GapSegment | RunPlan)[] = [];
  const sequences: number[] = [];
  let next = first;
  for (let left = input.numbers.varint(); left > 0; left -= 1) {
    if (input.numbers.bits(1) === 1) {
      const gap = readGap(input, next);
      segments.push(gap);
      next = gap.last + 1;
    } else {
      const count = input.numbers.varint();
      if (sequences.length + count > limits.eventCountMax)
        throw wireTooLarge(`it holds more than ${limits.eventCountMax} events`);
      segments.push({ kind: "run", first: next, count });
      for (let left = count; left > 0; left -= 1) sequences.push(next++);
    }
    if (!Number.isSafeInteger(next)) throw wireInvalid("its sequences are beyond 2^53");
  }
  return { segments, sequences, last: next - 1 };
}

function readGap(input: SectionReader, first: number): GapSegment {
  const { numbers } = input;
  const length = numbers.varint();
  const reason = gapReasons[numbers.bits(2)];
  if (reason === undefined || length === 0) throw wireInvalid("a gap is empty or has no reason");
  const topics: [string, number][] = [];
  for (let left = numbers.varint(); left > 0; left -= 1)
    topics.push([fromByteText(input.text()), numbers.varint()]);
  // Object.fromEntries defines own properties: a topic named __proto__ is only a name.
  return {
    kind: "gap",
    first,
    last: first + length - 1,
    reason,
    topics: Object.fromEntries(topics),
  };
}
