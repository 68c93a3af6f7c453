import { MeshError, type MeshEvent } from "@fleetmesh/core/base";
import { compileProject } from "./project-transform.ts";
import { assertBounded, ruleError } from "./rule-view.ts";
import { compileTemplate } from "./template-transform.ts";
import { invalidTransform } from "./transform-failed.ts";
import {
  transformKinds,
  type CompileHeavy,
  type CompileLight,
  type LightTransform,
  type Transform,
  type TransformInput,
  type TransformKind,
  type TransformLimits,
  type TransformSpec,
} from "./transform.ts";

const stepsMax = 10;
const lightKinds: Readonly<Partial<Record<TransformKind, CompileLight>>> = {
  template: compileTemplate,
  project: compileProject,
};
/** Loaded on first use: whoever has no such rule pays nothing for them. */
const heavyKinds: Readonly<Partial<Record<TransformKind, () => Promise<CompileHeavy>>>> = {
  jsonata: async () => (await import("./jsonata-transform.ts")).compileJsonata,
  function: async () => (await import("./function-transform.ts")).compileFunction,
};

interface Step {
  readonly kind: TransformKind;
  readonly operand: unknown;
  readonly path: string;
}

/** A whole chain. */
export interface CompiledTransform {
  /** Throws TRANSFORM_FAILED with `details.step` (from 1), `details.kind` and `details.why`. */
  apply(input: TransformInput): Promise<readonly MeshEvent[]>;
  dispose(): void;
}

/** Throws SUBSCRIPTION_INVALID naming the place. What only the thread can tell is not looked at. */
export function stepsOf(spec: TransformSpec, path = "transform"): readonly Step[] {
  const list: readonly unknown[] = Array.isArray(spec) ? spec : [spec];
  if (list.length === 0 || list.length > stepsMax)
    throw invalidTransform(path, `must have 1 to ${stepsMax} steps`);
  return list.map((step, at) => stepOf(step, Array.isArray(spec) ? `${path}[${at}]` : path));
}

/** The chain where all its steps are light; undefined when one has to run in a thread. Throws SUBSCRIPTION_INVALID. */
export function compileLight(
  steps: readonly Step[],
  limits: TransformLimits,
): ((input: TransformInput) => readonly MeshEvent[]) | undefined {
  const compiled: { readonly step: Step; readonly transform: LightTransform }[] = [];
  for (const step of steps) {
    const transform = lightKinds[step.kind]?.(step.operand, step.path);
    if (transform) compiled.push({ step, transform });
  }
  if (compiled.length < steps.length) return undefined;
  return ({ event, nowMs }) => {
    let made = event;
    for (const [at, { step, transform }] of compiled.entries()) {
      try {
        [made] = transform.apply({ event: made, nowMs });
        assertBounded([made], limits);
      } catch (error) {
        throw atStep(error, at, step.kind);
      }
    }
    return [made];
  };
}

/** Any chain; in a thread. Throws SUBSCRIPTION_INVALID. */
export async function compileTransform(
  steps: readonly Step[],
  limits: TransformLimits,
  onStep: (step: number) => void = () => undefined,
): Promise<CompiledTransform> {
  const transforms: Transform[] = [];
  const dispose = (): void => {
    for (const transform of transforms) transform.dispose?.();
  };
  try {
    for (const step of steps) transforms.push(await compileStep(step, limits));
  } catch (error) {
    dispose();
    throw error;
  }
  const apply = async ({ event, nowMs }: TransformInput): Promise<readonly MeshEvent[]> => {
    let events: readonly MeshEvent[] = [event];
    for (const [at, transform] of transforms.entries())
      try {
        onStep(at + 1);
        const made: MeshEvent[] = [];
        for (const one of events)
          made.push(...numbered(one, await transform.apply({ event: one, nowMs })));
        assertBounded(made, limits);
        events = made;
      } catch (error) {
        throw isFatal(error) ? error : atStep(error, at, steps[at]?.kind ?? "function");
      }
    return events;
  };
  return { apply, dispose };
}

async function compileStep(step: Step, limits: TransformLimits): Promise<Transform> {
  const { kind, operand, path } = step;
  const light = lightKinds[kind];
  if (light) return light(operand, path);
  const heavy = await heavyKinds[kind]?.();
  if (!heavy) throw invalidTransform(path, `has no kind ${kind}`);
  return heavy(operand, path, limits);
}

/** The interpreter itself has failed: nothing that it holds is of any use any more, and the thread with it. */
export function isFatal(error: unknown): error is Error {
  return error instanceof Error && error.name === "RuntimeError";
}

function stepOf(step: unknown, path: string): Step {
  const entries =
    typeof step === "object" && step !== null && !Array.isArray(step) ? Object.entries(step) : [];
  const [entry] = entries;
  if (!entry || entries.length !== 1)
    throw invalidTransform(path, `must be an object with one key: ${transformKinds.join(", ")}`);
  const [name, operand] = entry as [string, unknown];
  const kind = transformKinds.find((one) => one === name);
  if (kind === undefined)
    throw invalidTransform(
      `${path}.${name.slice(0, 40)}`,
      `is no kind of transform: ${transformKinds.join(", ")} are`,
    );
  return { kind, operand, path: `${path}.${name}` };
}

/** Several events of one carry its id and their number, so that they are the same ones whenever they are made again. */
function numbered(from: MeshEvent, events: readonly MeshEvent[]): readonly MeshEvent[] {
  if (events.length < 2) return events;
  return events.map((event, at) => ({ ...event, id: `${from.id}/${at + 1}` }));
}

/** The failure with its place in the chain; `at` from 0. */
export function atStep(thrown: unknown, at: number, kind: TransformKind): MeshError {
  const error = ruleError(thrown);
  return new MeshError(error.kind, `step ${at + 1} (${kind}): ${error.message}`, {
    details: { ...error.details, step: at + 1, kind },
  });
}
