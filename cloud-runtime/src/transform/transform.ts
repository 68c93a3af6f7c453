import type { MeshEvent } from "@fleetmesh/core/base";

/** One step of a subscription's transform: an object with exactly one key, the kind. */
export type TransformStepSpec = Readonly<Record<string, unknown>>;
/** One step or a chain of them: each event that a step gives goes through the next. */
export type TransformSpec = TransformStepSpec | readonly TransformStepSpec[];

export interface TransformInput {
  readonly event: MeshEvent;
  /** When the mesh received the event: the only time that a rule is told. */
  readonly nowMs: number;
}

export interface TransformLimits {
  /** For one event in one step that runs code. */
  readonly timeMs: number;
  /** Of a thread that runs rules. A function has half as much beside it. */
  readonly memoryMb: number;
  /** That one event may become. */
  readonly outputsMax: number;
  /** Of one event that a rule makes; all that it makes of one event may have four times as many. */
  readonly maxEventBytes: number;
}

export const transformLimitsDefault: TransformLimits = {
  timeMs: 500,
  memoryMb: 64,
  outputsMax: 100,
  maxEventBytes: 262_144,
};

/**
 * A compiled step.
 *
 * Guarantees
 * - A function of its input alone: the same event, received at the same time, becomes the same events, so that what is sent again
 *   after a failure or a crash is what was sent before. It has no clock, no chance and no access to anything outside.
 * - It changes nothing of what it is given. Data that it does not change keep their bytes.
 * - What it gives are valid events: required attributes are there, names and values are what CloudEvents asks for.
 * - It neither fills in "null" nor leaves out silently what a rule names and an event does not have.
 * Errors: TRANSFORM_FAILED, with `details.why`. What it may take in time and memory is bounded: by itself, or by the thread that
 * it runs in.
 */
export interface Transform {
  apply(input: TransformInput): readonly MeshEvent[] | Promise<readonly MeshEvent[]>;
  /** Lets go of what it holds outside the collector's reach. */
  dispose?(): void;
}

/** One that takes no longer than a look at every byte of the event: it runs where the event is. */
export interface LightTransform extends Transform {
  apply(input: TransformInput): readonly [MeshEvent];
}

/** Compiles the operand of one kind. Throws SUBSCRIPTION_INVALID naming the path. */
export type CompileLight = (operand: unknown, path: string) => LightTransform;
export type CompileHeavy = (
  operand: unknown,
  path: string,
  limits: TransformLimits,
) => Promise<Transform>;

export const transformKinds = ["template", "project", "jsonata", "function"] as const;
export type TransformKind = (typeof transformKinds)[number];

/** What a rule's failure was: `missing` = the event lacks what the rule names, `result` = what came out is no valid event. */
export type FailureWhy = "time" | "memory" | "error" | "missing" | "result";
