import { classOfRank, classRank, eventClasses } from "../topic/event-class.ts";
import type { EventClass } from "../topic/event-class.ts";
import { fromByteText, toByteText } from "./byte-text.ts";
import { readEpoch, writeEpoch } from "./epoch.ts";
import type { WireHello } from "./message.ts";
import { readReceived, writeReceived } from "./received-column.ts";
import type { SectionReader } from "./section-reader.ts";
import type { SectionWriter } from "./section-writer.ts";
import { wireInvalid } from "./wire-invalid.ts";

/**
 * The body of a hello: agent id as a text, 64 bits epoch, when it was sent as a column of one (received-column.ts),
 * 2 bits number of classes, and for each 2 bits class, varint oldest, varint next.
 */
export function writeHello(out: SectionWriter, hello: WireHello): void {
  const { numbers } = out;
  out.text(toByteText(hello.agentId));
  writeEpoch(numbers, hello.epoch);
  writeReceived(out, Float64Array.of(hello.sentMs));
  const present = eventClasses.filter((eventClass) => hello.classes[eventClass] !== undefined);
  numbers.bits(present.length, 2);
  for (const eventClass of present) {
    const { oldest, next } = hello.classes[eventClass] ?? { oldest: 0, next: 0 };
    numbers.bits(classRank(eventClass), 2);
    numbers.varint(oldest);
    numbers.varint(next);
  }
}

export function readHello(input: SectionReader): WireHello {
  const { numbers } = input;
  const agentId = fromByteText(input.text());
  const epoch = readEpoch(numbers);
  const [sentMs = 0] = readReceived(input, 1);
  const classes: Partial<Record<EventClass, { oldest: number; next: number }>> = {};
  for (let left = numbers.bits(2); left > 0; left -= 1) {
    const eventClass = classOfRank(numbers.bits(2));
    if (eventClass === undefined) throw wireInvalid("there is no such class");
    classes[eventClass] = { oldest: numbers.varint(), next: numbers.varint() };
  }
  input.assertEnd();
  return { kind: "hello", agentId, epoch, classes, sentMs };
}
