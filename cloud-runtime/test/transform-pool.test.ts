import { systemClock, type MeshEvent } from "@fleetmesh/core";
import { Registry } from "prom-client";
import { afterAll, describe, expect, it } from "vitest";
import type { TransformSpec } from "../src/transform/transform.ts";
import { Transforms } from "../src/transform/transforms.ts";
import { sampleEvent } from "./subscription-samples.ts";

const registry = new Registry();
const limits = { timeMs: 300, memoryMb: 64, maxEventBytes: 100_000 };
const transforms = new Transforms({ clock: systemClock, registry, limits });
afterAll(() => transforms.stop());

const attempt = (transform: TransformSpec, event = sampleEvent({ id: "e1" })) =>
  transforms.attempt(transform, { event, nowMs: 1_700_000_000_000 });

const why = (text: string) => ({ kind: "TRANSFORM_FAILED", details: { why: text, step: 1 } });

describe("a rule that runs away", () => {
  it.each([
    ["a function that never ends", { function: "(event) => { while (true); }" }, "time"],
    [
      "a function whose source never ends",
      { function: "(event) => /(a+)+$/.test('a'.repeat(40) + 'b') ? event : null" },
      "time",
    ],
    ["a tail recursion", { jsonata: "($f := function($n){ $f($n + 1) }; $f(1))" }, "time"],
    ["a recursion", { jsonata: "($f := function($n){ 1 + $f($n + 1) }; $f(1))" }, "memory"],
    ["a list without end", { jsonata: "[1..9999999]" }, "memory"],
    [
      "an expression that backtracks",
      { jsonata: "$match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab', /(a+)+$/)" },
      "time",
    ],
    [
      "a recursion of a function",
      { function: "function f(event) { return f(event) + 1; }" },
      "memory",
    ],
    [
      "a function that takes memory",
      { function: "(e) => { const a = []; for (;;) a.push(new Uint8Array(65536)); }" },
      "memory",
    ],
    [
      "an expression that makes a text without end",
      { jsonata: "($f := function($s){ $f($s & $s) }; $f('0123456789abcdef'))" },
      "memory",
    ],
  ])("%s is stopped, and the reason told", async (_, transform, reason) => {
    await expect(attempt(transform)).rejects.toMatchObject(why(reason));
  });

  it.each([
    ["thread", "$map([1..90000], function($i) { [1..90000] })"],
    ["process", "$length($pad('x', 400000000))"],
  ])("an expression that ends its %s is stopped, and the reason told", async (_, jsonata) => {
    const patient = { ...limits, timeMs: 10_000 };
    const own = new Transforms({ clock: systemClock, registry: new Registry(), limits: patient });
    const input = { event: sampleEvent({ id: "e1" }), nowMs: 0 };
    await expect(own.attempt({ jsonata }, input)).rejects.toMatchObject({
      details: { why: "memory" },
    });
    await expect(own.attempt({ jsonata: "$" }, input)).resolves.toHaveLength(1);
    await own.stop();
  });

  it("has hurt no rule that comes after it", async () => {
    const [made] = await attempt({ function: "(event) => ({ ...event, type: 'fine' })" });
    expect(made?.type).toBe("fine");
    const [other] = await attempt({ jsonata: "$merge([$, {'type': 'fine'}])" });
    expect(other?.type).toBe("fine");
  });

  it("costs none of the events that wait for the same rule, nor those of another", async () => {
    const text = "data.bad ? $length($pad('x', 400000000)) : $";
    const bad = transforms.open({ id: "bad", transform: { jsonata: text } });
    const good = transforms.open({ id: "good", transform: { jsonata: "$" } });
    const events = Array.from({ length: 40 }, (_, at) =>
      sampleEvent({ id: `e${at}`, data: at === 17 ? '{"bad":true}' : "{}" }),
    );
    const under = [bad, good].flatMap((one) =>
      events.map((event) => Promise.resolve(one?.apply({ event, nowMs: 0 }))),
    );
    const ends = await Promise.allSettled(under);
    const failed = ends.flatMap(({ status }, at) => (status === "rejected" ? [at] : []));
    expect(failed).toEqual([17]);
    const metrics = await registry.metrics();
    expect(metrics).toContain(
      'fleetmesh_transform_errors_total{subscription="bad",kind="memory"} 1',
    );
    expect(metrics).toContain(
      'fleetmesh_transform_events_total{subscription="good",outcome="one"} 40',
    );
    expect(metrics).toContain('fleetmesh_transform_duration_seconds_count{subscription="good"} 40');
  });

  it("lets others work while it is at work", async () => {
    const stuck = transforms.open({ id: "stuck", transform: { function: "() => { for (;;); }" } });
    const flowing = transforms.open({ id: "flowing", transform: { function: "(event) => event" } });
    const order: string[] = [];
    const note = async (name: string, of: typeof stuck, event: MeshEvent): Promise<void> => {
      await Promise.resolve(of?.apply({ event, nowMs: 0 })).catch(() => undefined);
      order.push(name);
    };
    const events = Array.from({ length: 20 }, (_, at) => sampleEvent({ id: `e${at}` }));
    const stuckOnes = events.map((event) => note("stuck", stuck, event));
    await note("flowing", flowing, sampleEvent({ id: "first" }));
    for (const event of events) await note("flowing", flowing, event);
    const flowingEnd = order.lastIndexOf("flowing");
    await Promise.all(stuckOnes);
    expect(order.slice(flowingEnd).filter((name) => name === "stuck").length).toBeGreaterThan(5);
  });
});

describe("a rule that runs code", () => {
  it("has no access to anything outside", async () => {
    const names = "['process','require','fetch','setTimeout','console','WebAssembly','std','os']";
    const text = `(event) => ({ ...event, data: ${names}.filter((name) => name in globalThis) })`;
    const [made] = await attempt({ function: text });
    expect(Buffer.from(made?.data ?? []).toString()).toBe("[]");
    const reach =
      "$merge([$, {'data': {'it': $.constructor.constructor, 'at': $now.constructor}}])";
    const [other] = await attempt({ jsonata: reach });
    expect(Buffer.from(other?.data ?? []).toString()).toBe("{}");
  });

  it("carries nothing from one event to the next by what it can reach", async () => {
    const text = `(event) => {
      try { globalThis.count = (globalThis.count ?? 0) + 1; } catch {}
      try { Array.prototype.count = 1; Math.count = 1; } catch {}
      return { ...event, data: { count: globalThis.count ?? [].count ?? Math.count ?? 0 } };
    }`;
    const rule = transforms.open({ id: "counts", transform: { function: text } });
    for (const id of ["e1", "e2"]) {
      const made = await rule?.apply({ event: sampleEvent({ id }), nowMs: 0 });
      expect(Buffer.from(made?.[0]?.data ?? []).toString()).toBe('{"count":0}');
    }
  });

  it("is told the event's time and chance, the same whenever the event comes again", async () => {
    const code = `(event) => ({ ...event, data: [Date.now(), new Date().toISOString(),
      new Date(5).getTime(), Math.random(), new Date() instanceof Date] })`;
    const expression = "$merge([$, {'data': [$millis(), $now(), $now('[Y]'), $random()]}])";
    for (const transform of [{ function: code }, { jsonata: expression }]) {
      const [first] = await attempt(transform);
      const [again] = await attempt(transform);
      const [other] = await attempt(transform, sampleEvent({ id: "e2" }));
      const text = Buffer.from(first?.data ?? []).toString();
      expect(text).toMatch(/^\[1700000000000,"2023-11-14T22:13:20.000Z",/);
      expect(Buffer.from(again?.data ?? []).toString()).toBe(text);
      expect(Buffer.from(other?.data ?? []).toString()).not.toBe(text);
    }
  });

  it("says where it failed", async () => {
    const text = "(event) => {\n  const vin = event.data.car.vin;\n  return event;\n}";
    await expect(attempt({ function: text })).rejects.toThrow(
      /^step 1 \(function\): TypeError: .*\(line 2:\d+\)$/,
    );
    await expect(attempt({ jsonata: "$ ~> $error('no')" })).rejects.toThrow(/at letter \d+/);
  });

  it("makes no more and no larger events than are allowed", async () => {
    const many = { function: "(event) => Array(101).fill(event)" };
    await expect(attempt(many)).rejects.toThrow("101 events; 100 are allowed");
    const large = { function: "(event) => ({ ...event, data: 'x'.repeat(100000) })" };
    await expect(attempt(large)).rejects.toMatchObject(why("result"));
    await expect(attempt({ function: "async (event) => event" })).rejects.toThrow(/async/);
    await expect(attempt({ function: "(event) => 'text'" })).rejects.toThrow(/gave a string/);
  });
});

describe("transforms that are stopped", () => {
  it("let go of what waits without a word against the events", async () => {
    const own = new Transforms({ clock: systemClock, registry: new Registry(), limits });
    const rule = own.open({ id: "s", transform: { function: "() => { for (;;); }" } });
    const under = Array.from({ length: 3 }, (_, at) =>
      Promise.resolve(rule?.apply({ event: sampleEvent({ id: `e${at}` }), nowMs: 0 })),
    );
    const ends = Promise.allSettled(under);
    await own.stop();
    for (const end of await ends)
      expect(end).toMatchObject({ status: "rejected", reason: { kind: "STOPPING" } });
  });
});
