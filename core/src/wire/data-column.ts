import type { DataKind, MeshEvent } from "../event/event.ts";
import { bytesToByteText } from "./byte-text.ts";
import { numbersOf } from "./column-memory.ts";
import { DataBytes } from "./data-bytes.ts";
import { JsonTemplate } from "./json-template.ts";
import { readNumbers, writeNumbers } from "./number-column.ts";
import type { SectionReader } from "./section-reader.ts";
import type { SectionWriter } from "./section-writer.ts";
import { readSlot, writeSlot, type SlotRows } from "./slot-column.ts";
import { skeletonOf } from "./split-json.ts";
import { readTexts, writeTexts } from "./text-column.ts";
import { wireInvalid } from "./wire-invalid.ts";

/**
 * The data of the events: a number column of kinds (0 json, 1 text, 2 binary), a number column of where each event's
 * data are (0 none, 1 raw, 2.. a template), a text column of the raw ones, varint number of templates, and for each
 * its skeleton as a text with NUL for each slot, then its slots (slot-column.ts).
 */
const dataKinds: readonly DataKind[] = ["json", "text", "binary"];
const raw = 1;
const firstTemplate = 2;
const templateCountMax = 64;
/** Beyond this, a skeleton is looked up by a split of the text rather than by trying. */
const triedMax = 8;

export function writeData(out: SectionWriter, events: readonly MeshEvent[]): void {
  const kinds = numbersOf(events, (event) => dataKinds.indexOf(event.dataKind));
  const templates = new Templates();
  const raws: string[] = [];
  const places = new Float64Array(events.length);
  events.forEach(({ data, dataKind }, row) => {
    if (data === undefined) return;
    const template = dataKind === "json" ? templates.take(data) : undefined;
    if (template === undefined) raws.push(bytesToByteText(data));
    places[row] = template === undefined ? raw : firstTemplate + template;
  });
  writeNumbers(out.numbers, kinds);
  writeNumbers(out.numbers, places);
  writeTexts(out, raws);
  out.numbers.varint(templates.all.length);
  for (const template of templates.all) {
    out.text(bytesToByteText(template.skeleton));
    for (let slot = 0; slot < template.slotCount; slot += 1) writeSlot(out, template, slot);
  }
}

/** The skeletons met in one batch; that of the last event is tried first. */
class Templates {
  readonly all: JsonTemplate[] = [];
  readonly #bySkeleton = new Map<string, number>();
  #last = 0;

  /** The number of the template that took the bytes; undefined when they have to go raw. */
  take(bytes: Uint8Array): number | undefined {
    const { all } = this;
    if (all[this.#last]?.take(bytes)) return this.#last;
    const tried = Math.min(all.length, triedMax);
    for (let number = 0; number < tried; number += 1)
      if (number !== this.#last && all[number]?.take(bytes)) return (this.#last = number);
    const skeleton = skeletonOf(bytes);
    return skeleton === undefined ? undefined : this.#takeBySkeleton(bytes, skeleton);
  }

  #takeBySkeleton(bytes: Uint8Array, skeleton: Uint8Array): number | undefined {
    const key = bytesToByteText(skeleton);
    let number = this.#bySkeleton.get(key);
    if (number === undefined) {
      if (this.all.length === templateCountMax) return undefined;
      number = this.all.push(new JsonTemplate(skeleton)) - 1;
      this.#bySkeleton.set(key, number);
    }
    this.#last = number;
    return this.all[number]?.take(bytes) === true ? number : undefined;
  }
}

export interface EventData {
  readonly dataKind: DataKind;
  readonly data: Uint8Array | undefined;
}

export function readData(input: SectionReader, count: number): EventData[] {
  const kinds = Array.from(readNumbers(input.numbers, count), kindOf);
  const places = readNumbers(input.numbers, count);
  const rows = rowCounts(places);
  const raws = readTexts(input, rows[raw] ?? 0);
  const columns = [raws.map((text) => Buffer.from(text, "latin1") as Uint8Array)];
  const templateCount = input.numbers.varint();
  if (templateCount > templateCountMax) throw wireInvalid("there are too many templates");
  for (let number = 0; number < templateCount; number += 1)
    columns.push(readTemplate(input, rows[firstTemplate + number] ?? 0));
  const next = columns.map(() => 0);
  return kinds.map((dataKind, index) => {
    const column = (places[index] ?? 0) - raw;
    if (column < 0) return { dataKind, data: undefined };
    const data = columns[column]?.[next[column] ?? 0];
    if (data === undefined) throw wireInvalid("an event's data are nowhere");
    next[column] = (next[column] ?? 0) + 1;
    return { dataKind, data };
  });
}

function kindOf(number: number): DataKind {
  const kind = dataKinds[number];
  if (kind === undefined) throw wireInvalid(`there is no data of kind ${number}`);
  return kind;
}

/** How many events have their data in each place. */
function rowCounts(places: Float64Array): number[] {
  const counts = new Array<number>(firstTemplate + templateCountMax).fill(0);
  for (const place of places) {
    const known = counts[place];
    if (known === undefined) throw wireInvalid(`there is no template ${place}`);
    counts[place] = known + 1;
  }
  return counts;
}

/** Messages are decoded one after the other, so they share what is left of a slab. */
const dataBytes = new DataBytes();

function readTemplate(input: SectionReader, rowCount: number): Uint8Array[] {
  const pieces = input
    .text()
    .split("\0")
    .map((piece) => Buffer.from(piece, "latin1"));
  if (rowCount === 0) throw wireInvalid("a template has no rows");
  const slots: SlotRows[] = [];
  for (let slot = 1; slot < pieces.length; slot += 1) {
    input.hold(columnRowBytes * rowCount);
    slots.push(readSlot(input, rowCount));
  }
  // What a message that was refused left behind.
  dataBytes.drop();
  const rows: Uint8Array[] = [];
  for (let row = 0; row < rowCount; row += 1) {
    putRow(pieces, slots, row);
    input.spend(dataBytes.length);
    rows.push(dataBytes.take());
  }
  return rows;
}

function putRow(pieces: readonly Buffer[], slots: readonly SlotRows[], row: number): void {
  for (let at = 0; at < pieces.length; at += 1) {
    if (at > 0) slots[at - 1]?.put(dataBytes, row);
    dataBytes.piece(pieces[at] ?? noBytes);
  }
}

const noBytes = Buffer.alloc(0);

/** What one row of a slot takes while it is read: a number and a reference. */
const columnRowBytes = 16;
