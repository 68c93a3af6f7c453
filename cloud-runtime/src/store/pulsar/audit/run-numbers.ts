import type { OutgoingMessage } from "@fleetmesh/pulsar";
import { numberText } from "../../shared/event-number.ts";
import type { OutboundTopic } from "./outbound-topic.ts";

interface Run {
  readonly run: number;
  next: number;
}

export interface RunNumbersOptions {
  readonly region: string;
  readonly outbound: OutboundTopic;
  readonly wallMs: () => number;
  /** Regions that an event names and that nothing is known of. */
  readonly onUnknown: (count: number) => void;
}

export type Outbound = (message: OutgoingMessage) => OutgoingMessage;

const regionGrammar = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const regionsMax = 64;

/**
 * Where the events of one topic go, and their numbers on the way. Each producer numbers what it sends in a run of its own: with
 * its end the run ends, so that numbers follow each other in the log without a hole. Nothing is numbered as long as the topic
 * goes nowhere.
 */
export class RunNumbers {
  readonly #options: RunNumbersOptions;
  readonly #live = new Map<number, Run>();
  #regions: readonly string[] = [];
  #hasUnnumbered = false;

  constructor(options: RunNumbersOptions) {
    this.#options = options;
  }

  /** Events were sent that went nowhere, as far as was known. */
  get hasUnnumbered(): boolean {
    return this.#hasUnnumbered;
  }

  /** Other regions that the topic is replicated to. */
  get regions(): readonly string[] {
    return this.#regions;
  }

  set regions(regions: readonly string[]) {
    this.#hasUnnumbered = false;
    this.#regions = regions.filter((region) => region !== this.#options.region);
  }

  /** For one producer of the topic; ends the run of the one that was in this place before. */
  begin(shard: number): Outbound {
    this.end(shard);
    return (message) => this.#outbound(message, shard);
  }

  end(shard: number): void {
    this.#live.delete(shard);
  }

  /** The next number of a run that is under way. */
  nextOf(run: number): number | undefined {
    for (const each of this.#live.values()) if (each.run === run) return each.next;
    return undefined;
  }

  #outbound(message: OutgoingMessage, shard: number): OutgoingMessage {
    const isEvent = message.properties["meshaudit"] === undefined;
    if (!isEvent || message.replicateTo !== undefined) return message;
    const named = message.properties["ce_meshregions"];
    const replicateTo = named === undefined ? undefined : this.#named(named);
    this.#hasUnnumbered ||= this.#regions.length === 0;
    if (this.#regions.length === 0 || replicateTo?.length === 0)
      return replicateTo ? { ...message, replicateTo } : message;
    const run = this.#live.get(shard) ?? this.#newRun(shard);
    // Into the message itself, which was made for this send: a copy of all its properties costs more than all else here.
    const properties: Record<string, string> = message.properties;
    properties["meshnumber"] = numberText({ run: run.run, number: run.next });
    run.next += 1;
    return replicateTo ? { ...message, replicateTo } : message;
  }

  #newRun(shard: number): Run {
    const { outbound, wallMs } = this.#options;
    const run = { run: outbound.beginRun(wallMs(), shard), next: 1 };
    this.#live.set(shard, run);
    return run;
  }

  /** Pulsar sends an event nowhere where its topic does not go; a name that is none of a region's would only cost room. */
  #named(text: string): readonly string[] {
    const names = new Set(text.split(",").map((name) => name.trim()));
    names.delete(this.#options.region);
    names.delete("");
    const known = [...names].filter((name) => regionGrammar.test(name)).slice(0, regionsMax);
    const unknown = [...names].filter((name) => !this.#regions.includes(name));
    if (unknown.length > 0) this.#options.onUnknown(unknown.length);
    return known;
  }
}
