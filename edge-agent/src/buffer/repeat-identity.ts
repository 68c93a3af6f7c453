import { crc32 } from "node:zlib";
import type { BlockEntry, Extension, MeshEvent } from "@fleetmesh/core";

/** Words of 32 bits of one identity: three of (topic, source, id), then one of the content. */
export const identityWords = 4;
export const identityBytes = 4 * identityWords;

/** Parts of a text stand apart by a character that no attribute may have. */
const apart = "\u0000";
const absent = "\u0001";

/**
 * What an event is remembered by. The topic belongs to the key, as it does in the region: an event that is published to two
 * topics is two events. 96 bits keep two of a million vehicles' events from meeting by chance. They are mixed, not
 * encrypted: who may publish can repeat another's source and id openly and gains nothing from two that collide.
 * One publisher's events share most of what they say: the parts that stay are mixed once.
 */
export class RepeatIdentity {
  #topic: string | undefined;
  #source: string | undefined;
  #one = 0;
  #two = 0;
  #three = 0;
  #type: string | undefined;
  #subject: string | undefined;
  #head = 0;

  /** Writes the four words of an event to `words` at `at`. */
  write(entry: Pick<BlockEntry, "topic" | "event">, words: Uint32Array, at: number): void {
    const { topic, event } = entry;
    if (topic !== this.#topic || event.source !== this.#source)
      this.#mixSource(topic, event.source);
    const { id } = event;
    let [one, two, three] = [this.#one, this.#two, this.#three];
    for (let index = 0; index < id.length; index += 1) {
      const unit = id.charCodeAt(index);
      one = Math.imul(one ^ unit, 0x2c1b3c6d);
      two = Math.imul(two ^ unit, 0x297a2d39);
      three = Math.imul(three ^ unit, 0x7feb352d);
      one ^= one >>> 15;
      two ^= two >>> 13;
      three ^= three >>> 16;
    }
    words[at] = one ^ Math.imul(three, 0x846ca68b);
    words[at + 1] = two ^ Math.imul(one, 0x1b873593);
    words[at + 2] = three ^ Math.imul(two, 0xcc9e2d51);
    words[at + 3] = this.#contentOf(event);
  }

  #mixSource(topic: string, source: string): void {
    this.#topic = topic;
    this.#source = source;
    const text = topic + apart + source + apart;
    this.#one = mixOne(0x9e3779b9, text);
    this.#two = mixOne(0x85ebca6b, text);
    this.#three = mixOne(0xc2b2ae35, text);
  }

  /** 32 bits of all that an event says beside its key. Extensions count by name: intermediaries may reorder HTTP headers. */
  #contentOf(event: MeshEvent): number {
    const { type, subject, time, datacontenttype, dataschema, dataKind, data } = event;
    if (type !== this.#type || subject !== this.#subject) {
      this.#type = type;
      this.#subject = subject;
      this.#head = mixOne(0x9e3779b9, type + apart + (subject ?? absent) + apart);
    }
    let head = mixOne(this.#head, time ?? absent);
    head = mixOne(mixOne(head, apart), datacontenttype ?? absent);
    head = mixOne(mixOne(head, apart), dataschema ?? absent);
    head = mixOne(mixOne(head, apart), dataKind);
    for (const [name, value] of sorted(event.extensions))
      head = mixOne(head, apart + name + apart + typeof value + apart + String(value));
    return data === undefined ? head >>> 0 : crc32(data, mixOne(head, apart) >>> 0);
  }
}

/** Goes on mixing from a state: a bijection of it for each character, whose high bits come down into the low ones. */
function mixOne(state: number, text: string): number {
  let mixed = state;
  for (let index = 0; index < text.length; index += 1) {
    mixed = Math.imul(mixed ^ text.charCodeAt(index), 0x2c1b3c6d);
    mixed ^= mixed >>> 15;
  }
  return mixed;
}

function sorted(extensions: readonly Extension[]): readonly Extension[] {
  if (extensions.length < 2) return extensions;
  return [...extensions].sort(([one], [other]) => (one < other ? -1 : 1));
}
