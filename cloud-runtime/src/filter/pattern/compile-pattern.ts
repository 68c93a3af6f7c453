import { nearestName } from "@fleetmesh/core";
import { attributeClaim } from "../attribute-claim.ts";
import { allOf, anyOf } from "../combine.ts";
import type { Dialect, Filter } from "../filter.ts";
import { invalidFilter } from "../invalid-filter.ts";
import { JsonView } from "../json-view.ts";
import { shown } from "../shown.ts";
import { ListNode, ObjectNode, type DataNode } from "./data-node.ts";
import { isPlainObject, PatternPlace, PatternTally } from "./pattern-place.ts";
import { ValueList } from "./value-list.ts";

const orKey = "$or";
const knownKeys = [
  ...["id", "source", "type", "subject", "time", "specversion", "datacontenttype", "dataschema"],
  ...["data", orKey],
];
/** How others call what is here. */
const foreignKeys: Readonly<Record<string, string>> = {
  detail: "data",
  "detail-type": "type",
  resources: "subject",
};

/**
 * The `pattern` dialect, in the style of EventMesh and EventBridge: keys are attributes, each with a list of values and
 * operators, or `data` with an object of any depth that ends in such lists. Lists are alternatives, keys must all hold.
 */
export const compilePattern: Dialect = (operand, path) =>
  compileRoot(operand, new PatternPlace(path, new PatternTally()));

function compileRoot(spec: unknown, place: PatternPlace): Filter {
  return allOf(
    entriesOf(spec, place).map(([name, value]) => {
      if (name === orKey)
        return anyOf(eachAlternative(value, place).map(([one, at]) => compileRoot(one, at)));
      if (name === "data") return dataFilter(compileNode(value, place.under(".data", false)));
      return compileAttribute(name, value, place);
    }),
  );
}

function compileAttribute(name: string, value: unknown, place: PatternPlace): Filter {
  if (!/^[a-z0-9]+$/.test(name) || (Object.hasOwn(foreignKeys, name) && !Array.isArray(value)))
    throw unknownKey(name, place);
  const at = place.under(`.${name}`, true);
  if (!Array.isArray(value)) throw notAList(value, at, "only data can be nested");
  const list = new ValueList(value, at);
  return attributeClaim({
    attribute: name,
    holds: (text) => (text === undefined ? list.takesNothing : list.takes(text)),
    stepsFor: (text) => list.stepsFor(text),
    wanted: list.text,
    exact: list.only?.map(String),
    prefix: list.only ? undefined : list.heads,
  });
}

function compileNode(spec: unknown, place: PatternPlace): DataNode {
  if (Array.isArray(spec)) return new ListNode(new ValueList(spec, place));
  if (!isPlainObject(spec)) throw notAList(spec, place, "or an object of fields");
  const entries = entriesOf(spec, place);
  const fields = entries
    .filter(([name]) => name !== orKey)
    .map(([name, value]) => [name, compileNode(value, place.under(`.${name}`))] as const);
  const alternatives = Object.hasOwn(spec, orKey) ? eachAlternative(spec[orKey], place) : [];
  return new ObjectNode(
    fields,
    alternatives.map(([one, at]) => {
      if (!isPlainObject(one)) throw invalidFilter(at.path, "must be an object of fields");
      return compileNode(one, at);
    }),
  );
}

function dataFilter(node: DataNode): Filter {
  return {
    matches: (event, json = new JsonView(event)) => node.holds(json.value, json),
    mismatch: (event, json = new JsonView(event)) =>
      node.holds(json.value, json) ? undefined : node.mismatch(json.value, { json, field: "data" }),
    data: node.conditions([]),
  };
}

function entriesOf(spec: unknown, place: PatternPlace): [string, unknown][] {
  if (!isPlainObject(spec)) throw invalidFilter(place.path, "must be an object");
  const entries = Object.entries(spec);
  if (entries.length === 0) throw invalidFilter(place.path, "must have at least one key");
  return entries;
}

function eachAlternative(spec: unknown, place: PatternPlace): (readonly [unknown, PatternPlace])[] {
  const path = `.${orKey}`;
  if (!Array.isArray(spec) || spec.length === 0)
    throw invalidFilter(`${place.path}${path}`, "must be a list of at least one pattern");
  return spec.map((one: unknown, index) => {
    const at = place.under(`${path}[${index}]`);
    at.countCondition();
    return [one, at] as const;
  });
}

function notAList(value: unknown, place: PatternPlace, beside: string): Error {
  const example = isPlainObject(value) ? '["a"]' : `[${shown(value) ?? ""}]`;
  return invalidFilter(place.path, `must be a list, such as ${example} (${beside})`);
}

function unknownKey(name: string, place: PatternPlace): Error {
  const known = Object.hasOwn(foreignKeys, name) ? foreignKeys[name] : nearestName(name, knownKeys);
  const suffix = known === undefined ? "" : ` - did you mean "${known}"?`;
  const given = name.slice(0, 40);
  return invalidFilter(`${place.path}.${given}`, `is not an attribute name${suffix}`);
}
