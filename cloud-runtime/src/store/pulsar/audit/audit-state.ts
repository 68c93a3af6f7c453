import type { MessageId, ReceivedMessage } from "@fleetmesh/pulsar";
import type { ReplicationAccount } from "../../event-store.ts";
import { parseNumber } from "../../shared/event-number.ts";
import { decodeAudit, type Ask, type AuditMessage } from "./audit-message.ts";
import { eventDigest } from "./event-digest.ts";
import { GroupTable } from "../group-table.ts";
import { InboundTopic } from "./inbound-topic.ts";
import { OutboundTopic } from "./outbound-topic.ts";

/** A message in the place where the fold found it. */
export interface Folded {
  readonly topic: string;
  readonly message: ReceivedMessage;
  /** The message before it. */
  readonly before: MessageId;
}

/**
 * `note`: the audit's own, no event. `own copy`: what this region sent again for another. `repeat`: a repair that nobody needs.
 * `late`: an event that comes behind later ones of its run.
 */
export type AuditVerdict = "event" | "note" | "own copy" | "repeat" | "late";

export interface AuditStateOptions {
  readonly region: string;
  /** Kept under `o/<topic>` and `i/<topic>/<origin>`. */
  readonly onChanged: (key: string) => void;
}

/** What the audit knows of all topics: a fold over their messages, like the rest of the state. */
export class AuditState {
  /** Consumer groups' places travel among the audit's own messages. */
  readonly groups: GroupTable;
  readonly #options: AuditStateOptions;
  readonly #outbound = new Map<string, OutboundTopic>();
  readonly #inbound = new Map<string, InboundTopic>();

  constructor(options: AuditStateOptions) {
    this.#options = options;
    this.groups = new GroupTable(options.onChanged);
  }

  /** What this region has of an origin's runs, its own too. Those over long since are left out. */
  runsOf(topic: string, origin: string): readonly { run: number; highest: number }[] {
    if (origin === this.#options.region) return this.outbound(topic).runs;
    return this.#inbound.get(inboundKey(topic, origin))?.runs ?? [];
  }

  outbound(topic: string): OutboundTopic {
    const found = this.#outbound.get(topic) ?? new OutboundTopic();
    this.#outbound.set(topic, found);
    return found;
  }

  /** Topics that another region sends, with that region. */
  *inbound(): Generator<{ readonly topic: string; readonly origin: string; of: InboundTopic }> {
    for (const [key, of] of this.#inbound) {
      const [, topic = "", origin = ""] = key.split("/", 3);
      yield { topic, origin, of };
    }
  }

  pass(folded: Folded): AuditVerdict {
    const { properties } = folded.message;
    if (properties["meshaudit"] !== undefined) {
      const note = decodeAudit(folded.message);
      if (note) this.#takeNote(folded, note);
      return "note";
    }
    const repaired = parseNumber(properties["meshrepaired"]);
    if (repaired && this.#isOwn(folded)) return "own copy";
    if (repaired) {
      const key = inboundKey(folded.topic, originOf(folded));
      const isWanted = this.#inboundOf(key).repair(repaired);
      this.#options.onChanged(key);
      return isWanted ? "event" : "repeat";
    }
    return this.#count(folded) ? "late" : "event";
  }

  /** What another region asks this one for; undefined for any other message. */
  askOf(message: ReceivedMessage): Ask | undefined {
    const note = decodeAudit(message);
    if (note?.kind !== "ask") return undefined;
    const { region } = this.#options;
    return note.body.from === region && note.body.region !== region ? note.body : undefined;
  }

  changed(topic: string, origin?: string): void {
    this.#options.onChanged(origin === undefined ? `o/${topic}` : inboundKey(topic, origin));
  }

  ledger(): Readonly<Record<string, Readonly<Record<string, ReplicationAccount>>>> {
    const topics: Record<string, Record<string, ReplicationAccount>> = {};
    for (const { topic, origin, of } of this.inbound()) {
      const { counts, missingCount: open } = of;
      if (counts.sealed > 0 || counts.missing > 0)
        (topics[topic] ??= {})[origin] = { ...counts, open };
    }
    return topics;
  }

  encode(key: string): Uint8Array | undefined {
    if (key.startsWith("i/")) return this.#inbound.get(key)?.encode();
    return this.#outbound.get(key.slice(2))?.encode();
  }

  restore(key: string, value: Uint8Array | undefined): void {
    if (!value) return;
    if (key.startsWith("i/")) this.#inboundOf(key).restore(value);
    else this.outbound(key.slice(2)).restore(value);
  }

  /** True when it comes late. */
  #count({ topic, message, before }: Folded): boolean {
    const number = parseNumber(message.properties["meshnumber"]);
    if (!number) return false;
    if (this.#isOwn({ topic, message, before })) {
      this.outbound(topic).add(number, message, before);
      this.changed(topic);
      return false;
    }
    if (originOf({ message }) === this.#options.region) return false;
    const key = inboundKey(topic, originOf({ message }));
    this.#options.onChanged(key);
    return this.#inboundOf(key).arrive(number, eventDigest(number.number, message));
  }

  #takeNote({ topic, message }: Folded, note: AuditMessage): void {
    const { region } = this.#options;
    if (note.kind === "ask") return;
    if (note.kind === "places") {
      const { region: teller, places } = note.body;
      for (const told of places) this.groups.hear({ ...told, topic, region: teller });
      return;
    }
    if (note.body.region === region) {
      if (note.kind === "answer" || message.replicatedFrom !== undefined) return;
      this.outbound(topic).sealed(note.body);
      this.changed(topic);
      return;
    }
    if (note.kind === "answer" && note.body.to !== region) return;
    const key = inboundKey(topic, note.body.region);
    const inbound = this.#inboundOf(key);
    if (note.kind === "seal") inbound.seal(note.body, region);
    else inbound.answer(note.body);
    this.#options.onChanged(key);
  }

  #isOwn({ message }: Folded): boolean {
    const isHere = message.replicatedFrom === undefined;
    return isHere && originOf({ message }) === this.#options.region;
  }

  #inboundOf(key: string): InboundTopic {
    const found = this.#inbound.get(key) ?? new InboundTopic();
    this.#inbound.set(key, found);
    return found;
  }
}

function originOf({ message }: Pick<Folded, "message">): string {
  return message.properties["meshorigin"] ?? "";
}

function inboundKey(topic: string, origin: string): string {
  return `i/${topic}/${origin}`;
}
