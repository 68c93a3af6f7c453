import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { MeshEvent } from "@fleetmesh/core/base";
import type {
  QuickJSContext,
  QuickJSHandle,
  QuickJSSyncVariant,
  QuickJSWASMModule,
} from "quickjs-emscripten-core";
import { RuleView } from "./rule-view.ts";
import { seedOf } from "./seeded-random.ts";
import { invalidTransform, transformFailed } from "./transform-failed.ts";
import type { CompileHeavy, Transform, TransformInput, TransformLimits } from "./transform.ts";

const sourceCharsMax = 65_536;
const stackBytes = 256 * 1024;
/** The interpreter asks after some ten thousand steps whether to go on: so often it is told to, whatever the machine's load. */
const interruptsMax = 400;

/**
 * Runs once in each context, before the user's source. Time and chance are the event's; the built-in objects are frozen, so that
 * nothing is carried from one event to the next by them. Gives the function that calls the user's.
 */
const frame = `((make) => {
  const [parse, stringify, RealDate] = [JSON.parse, JSON.stringify, Date];
  let [now, state] = [0, 0];
  Math.random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  globalThis.Date = new Proxy(RealDate, {
    apply: () => new RealDate(now).toString(),
    construct: (target, args, type) =>
      Reflect.construct(target, args.length === 0 ? [now] : args, type),
  });
  RealDate.now = () => now;
  RealDate.prototype.constructor = Date;
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    const value = globalThis[name];
    if (typeof value !== "function" && typeof value !== "object" || value === null) continue;
    if (value === globalThis) continue;
    if (value.prototype) Object.freeze(value.prototype);
    Object.freeze(value);
  }
  Object.freeze(globalThis);
  const run = make();
  if (typeof run !== "function") throw new TypeError("must be a function (event) => event");
  Object.freeze(run);
  return (text, nowMs, seed) => {
    [now, state] = [nowMs, seed];
    const result = run(parse(text));
    if (result === null || result === undefined) return "null";
    if (typeof result.then === "function") throw new TypeError("the function must not be async");
    return stringify(result) ?? "false";
  };
})`;

/** What the interpreter's code asks for at least, in pages of 64 KiB. */
const pagesMin = 256;

/** What of it is used: the compiler knows it of browsers only. */
declare const WebAssembly: {
  compile(bytes: Uint8Array): Promise<object>;
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => object;
};

let loading: Promise<object> | undefined;

/** The interpreter's code, loaded by the first function that a thread is given. */
function interpreterCode(): Promise<object> {
  const file = createRequire(import.meta.url).resolve("@jitl/quickjs-wasmfile-release-sync/wasm");
  loading ??= readFile(file).then((bytes) => WebAssembly.compile(bytes));
  return loading;
}

/**
 * An interpreter with a memory of its own: QuickJS counts no bytes in this build, so that its own limit holds nobody back, and what
 * one function takes must not be missing elsewhere.
 */
async function newInterpreter({ memoryMb }: TransformLimits): Promise<QuickJSWASMModule> {
  const [{ newQuickJSWASMModuleFromVariant, newVariant }, { default: variant }, wasmModule] =
    await Promise.all([
      import("quickjs-emscripten-core"),
      import("@jitl/quickjs-wasmfile-release-sync"),
      interpreterCode(),
    ]);
  const maximum = Math.max(pagesMin, (memoryMb * 16) / 2);
  const wasmMemory = new WebAssembly.Memory({ initial: pagesMin, maximum });
  const base = variant as unknown as QuickJSSyncVariant;
  return newQuickJSWASMModuleFromVariant(newVariant(base, { wasmModule, wasmMemory }));
}

/** A JavaScript function `(event) => event | event[] | null` in an interpreter of its own, with nothing but the language. */
export const compileFunction: CompileHeavy = async (operand, path, limits) => {
  if (typeof operand !== "string" || operand.trim() === "" || operand.length > sourceCharsMax)
    throw invalidTransform(
      path,
      `must be the source of a function, of at most ${sourceCharsMax} letters`,
    );
  const made = new QuickJsFunction(operand, limits);
  try {
    await made.compile();
  } catch (error) {
    throw invalidTransform(path, `cannot be used: ${messageOf(error)}`);
  }
  return made;
};

class QuickJsFunction implements Transform {
  readonly #source: string;
  readonly #limits: TransformLimits;
  #context: QuickJSContext | undefined;
  #function: QuickJSHandle | undefined;
  #interrupts = 0;
  #endMs = 0;

  constructor(source: string, limits: TransformLimits) {
    this.#source = source;
    this.#limits = limits;
  }

  async apply({ event, nowMs }: TransformInput): Promise<readonly MeshEvent[]> {
    const view = new RuleView(event);
    await this.compile();
    const text = this.#call(view.text, nowMs, seedOf(`${event.source}\0${event.id}`));
    return view.events(JSON.parse(text));
  }

  async compile(): Promise<void> {
    if (this.#function) return;
    const interpreter = await newInterpreter(this.#limits);
    this.#guarded(() => this.#compileIn(interpreter));
  }

  /** The collector takes the interpreter with all that it holds. */
  dispose(): void {
    this.#function = this.#context = undefined;
  }

  /** What a failure leaves behind is not for the next event, nor can it be trusted to be put away in order. */
  #guarded<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  #compileIn(interpreter: QuickJSWASMModule): void {
    const runtime = interpreter.newRuntime({ maxStackSizeBytes: stackBytes });
    runtime.setInterruptHandler(() => this.#isOver());
    this.#context = runtime.newContext();
    this.#begin();
    // The user's source is an expression of its own: it sees nothing of the frame, and its lines are its own.
    using make = this.#evaluated(`() => (${this.#source}\n)`, "rule.js");
    using outer = this.#evaluated(frame, "frame.js");
    this.#function = this.#called(outer, [make]);
  }

  #call(text: string, nowMs: number, seed: number): string {
    const { context, run } = this.#compiled();
    return this.#guarded(() => {
      this.#begin();
      using input = context.newString(text);
      using result = this.#called(run, [input, context.newNumber(nowMs), context.newNumber(seed)]);
      return context.getString(result);
    });
  }

  #compiled(): { context: QuickJSContext; run: QuickJSHandle } {
    const [context, run] = [this.#context, this.#function];
    if (!context || !run) throw new Error("A function is compiled before it is called");
    return { context, run };
  }

  #begin(): void {
    this.#interrupts = 0;
    this.#endMs = performance.now() + this.#limits.timeMs;
  }

  #isOver(): boolean {
    this.#interrupts += 1;
    return this.#interrupts > interruptsMax || performance.now() > this.#endMs;
  }

  #evaluated(code: string, file: string): QuickJSHandle {
    const context = this.#context as QuickJSContext;
    const result = context.evalCode(code, file);
    if (result.error) throw this.#thrown(result.error);
    return result.value;
  }

  #called(called: QuickJSHandle, args: QuickJSHandle[]): QuickJSHandle {
    const context = this.#context as QuickJSContext;
    const result = context.callFunction(called, context.undefined, args);
    if (result.error) throw this.#thrown(result.error);
    return result.value;
  }

  #thrown(handle: QuickJSHandle): Error {
    const isOver = this.#interrupts > interruptsMax || performance.now() > this.#endMs;
    if (isOver) return transformFailed("time", "The function takes too long");
    const thrown: unknown = this.#context?.dump(handle);
    handle.dispose();
    return failureOf(thrown);
  }
}

function failureOf(thrown: unknown): Error {
  const { name, message, stack } = (thrown ?? {}) as Partial<Error>;
  if (name === "InternalError" && /out of memory|stack overflow/.test(message ?? ""))
    return transformFailed("memory", `The function takes too much memory: ${message ?? ""}`);
  const text = name === undefined ? String(thrown) : `${name}: ${message ?? ""}`;
  const [, place] = /rule\.js:(\d+(?::\d+)?)/.exec(stack ?? "") ?? [];
  return transformFailed("error", place === undefined ? text : `${text} (line ${place})`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
