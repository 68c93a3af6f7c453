import { systemClock } from "@fleetmesh/core";
import { Registry } from "prom-client";
import { afterAll, describe } from "vitest";
import { compileTransform, stepsOf } from "../../cloud-runtime/src/transform/compile-transform.ts";
import { transformLimitsDefault } from "../../cloud-runtime/src/transform/transform.ts";
import { Transforms } from "../../cloud-runtime/src/transform/transforms.ts";
import {
  transformContract,
  type TransformSamples,
  type TransformUnderTest,
} from "./transform.contract.ts";

const salt = "not a secret outside of tests";

const kinds: Readonly<Record<string, TransformSamples>> = {
  template: {
    setsType: { template: { type: "changed" } },
    dropsSubject: { template: { subject: null } },
    onlySpeed: { template: { data: { speed: "$.data.speed" } } },
    needsVin: { template: { subject: "car ${$.data.vin}" } },
    dropsType: { template: { type: null } },
    invalid: [
      [{ template: "text" }, /^transform\.template must/],
      [{ template: { "Not-a-name": "x" } }, /^transform\.template\.Not-a-name /],
      [
        { template: { data: { vin: "$.data[" } } },
        /^transform\.template\.data\.vin cannot be read/,
      ],
    ],
  },
  project: {
    dropsSubject: { project: { redact: ["subject"] } },
    onlySpeed: { project: { keep: ["subject", "fleet", "level", "urgent", "data.speed"] } },
    invalid: [
      [{ project: {} }, /^transform\.project must have/],
      [{ project: { redact: ["type"] } }, /cannot take type out/],
      [{ project: { hash: { fields: ["subject"], salt: "short" } } }, /hash\.salt must/],
      [{ project: { hash: { fields: ["time"], salt } } }, /cannot hash/],
    ],
  },
  jsonata: {
    setsType: { jsonata: "$merge([$, {'type': 'changed'}])" },
    dropsSubject: { jsonata: "$ ~> |$|{}, ['subject']|" },
    onlySpeed: { jsonata: "$merge([$, {'data': {'speed': data.speed}}])" },
    needsVin: { jsonata: "$exists(data.vin) ? $ : $error('no vin')" },
    dropsType: { jsonata: "$ ~> |$|{}, ['type']|" },
    makesThree: { jsonata: "($e := $; [1..3].$merge([$e, {'subject': 'part ' & $string($)}]))" },
    makesNone: { jsonata: "data.nothing" },
    invalid: [
      [{ jsonata: "data.(" }, /^transform\.jsonata cannot be read: .* at letter/],
      [{ jsonata: "" }, /^transform\.jsonata must/],
    ],
  },
  function: {
    setsType: { function: "(event) => ({ ...event, type: 'changed' })" },
    dropsSubject: { function: "({ subject, ...event }) => event" },
    onlySpeed: { function: "(event) => { delete event.data.vin; return event; }" },
    needsVin: { function: "(event) => ({ ...event, subject: event.data.vin.trim() })" },
    dropsType: { function: "({ type, ...event }) => event" },
    makesThree: { function: "(event) => [event, event, event]" },
    makesNone: { function: "() => null" },
    invalid: [
      [{ function: "(event) => {" }, /^transform\.function cannot be used: SyntaxError/],
      [{ function: "42" }, /must be a function/],
      [[{ template: { type: "x" } }, { nothing: 1 }], /^transform\[1\]\.nothing is no kind/],
    ],
  },
};

describe("every kind of transform, where it is compiled", () => {
  const direct: TransformUnderTest = {
    async apply(spec, event) {
      const compiled = await compileTransform(stepsOf(spec), transformLimitsDefault);
      try {
        return await compiled.apply({ event, nowMs: 1_700_000_000_000 });
      } finally {
        compiled.dispose();
      }
    },
  };
  for (const [name, samples] of Object.entries(kinds))
    transformContract(name, samples, () => direct);
});

describe("every kind of transform, where a subscription has it run", () => {
  const transforms = new Transforms({ clock: systemClock, registry: new Registry() });
  afterAll(() => transforms.stop());
  const pooled: TransformUnderTest = {
    apply: (spec, event) => transforms.attempt(spec, { event, nowMs: 1_700_000_000_000 }),
  };
  for (const [name, samples] of Object.entries(kinds))
    transformContract(name, samples, () => pooled);
});
