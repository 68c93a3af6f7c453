// Writes docs/reference from the code: error codes, commands, configuration. `--check` only says whether it is up to date.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { bridgeConfigSchema } from "../bridge/dist/index.js";
import { createProgram } from "../cli/dist/program.js";
import { runtimeConfigSchema } from "../cloud-runtime/dist/index.js";
import { panelConfigSchema } from "../control-panel/dist/index.js";
import { catalogue } from "../core/dist/index.js";
import { edgeAgentConfigSchema } from "../edge-agent/dist/index.js";
import { root } from "./prepare.mjs";

const cell = (text) => String(text).replaceAll("|", "\\|").replaceAll("\n", " ");
const table = (head, rows) =>
  [head, head.map(() => "---"), ...rows]
    .map((row) => `| ${row.map(cell).join(" | ")} |`)
    .join("\n");
const generated =
  "<!-- Written by scripts/reference.mjs from the code; edit the code, then run it. -->";

function errors() {
  const rows = Object.values(catalogue).map((entry) => [
    `\`${entry.code}\``,
    entry.title,
    entry.status,
    entry.retryable ? "yes" : "no",
    entry.hint,
  ]);
  return `# Error codes\n\n${generated}\n\n${table(["Code", "Meaning", "HTTP", "Try again", "What to do"], rows)}\n`;
}

function commands() {
  const lines = [`# Commands\n\n${generated}\n`];
  const options = (command) =>
    command.options.map((o) => [`\`${o.flags}\``, o.description, o.defaultValue ?? ""]);
  const program = createProgram();
  lines.push(
    "## For every command\n",
    table(["Option", "Meaning", "Default"], options(program)),
    "",
  );
  const walk = (command, path) => {
    for (const child of command.commands) {
      const name = [...path, child.name()];
      const words = child.registeredArguments.map((a) =>
        a.required ? `<${a.name()}>` : `[${a.name()}]`,
      );
      if (child.commands.length === 0) {
        lines.push(
          `## \`mesh ${[...name, ...words].join(" ")}\`\n`,
          child.description() || child.summary(),
          "",
        );
        if (child.options.length > 0)
          lines.push(table(["Option", "Meaning", "Default"], options(child)), "");
      }
      walk(child, name);
    }
  };
  walk(program, []);
  return `${lines.join("\n").trimEnd()}\n`;
}

/** The alternatives of a union, one after the other; what all have in common is in each. */
function unionOf(property, own) {
  const nameOf = ({ properties }) => properties.type?.const;
  const names = property.oneOf.map(nameOf).join(", ");
  const fallback = property.oneOf.find(({ properties }) => properties.type?.default !== undefined);
  const first = [`\`${own}.type\``, names, JSON.stringify(nameOf(fallback ?? {}) ?? ""), ""];
  const rows = property.oneOf.flatMap((option) => {
    const { type: _, ...properties } = option.properties;
    const label = `${own}(${nameOf(option)})`;
    return keysOf({ ...option, properties }, label);
  });
  return [first, ...rows];
}

function keysOf(schema, path = "") {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const own = path === "" ? name : `${path}.${name}`;
    if (property.oneOf?.every(({ properties }) => properties?.type)) return unionOf(property, own);
    const inner = property.properties
      ? property
      : property.items?.properties
        ? property.items
        : undefined;
    const isRequired = (schema.required ?? []).includes(name) && property.default === undefined;
    const fallback =
      property.default === undefined
        ? isRequired
          ? "required"
          : ""
        : JSON.stringify(property.default);
    const shown = property.description ?? "";
    const type = property.enum?.join(", ") ?? property.type ?? "any";
    const row = [`\`${own}\``, type, inner && fallback !== "required" ? "" : fallback, shown];
    return [row, ...(inner ? keysOf(inner, property.items ? `${own}[]` : own) : [])];
  });
}

function configuration() {
  const kinds = {
    runtime: runtimeConfigSchema,
    edge: edgeAgentConfigSchema,
    bridge: bridgeConfigSchema,
    panel: panelConfigSchema,
  };
  const parts = Object.entries(kinds).map(([kind, schema]) => {
    const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
    return `## \`mesh run ${kind} --config FILE\`\n\n${table(["Key", "Type", "Default", "Meaning"], keysOf(json))}\n`;
  });
  return `# Configuration\n\n${generated}\n\nYAML. Unknown keys are refused with the nearest known one; \`mesh lint FILE\` checks a file.\n\n${parts.join("\n")}`;
}

const pages = { "errors.md": errors(), "cli.md": commands(), "configuration.md": configuration() };
const folder = `${root}docs/reference/`;
mkdirSync(folder, { recursive: true });
const stale = Object.entries(pages).filter(([name, text]) => {
  try {
    return readFileSync(folder + name, "utf8") !== text;
  } catch {
    return true;
  }
});
if (process.argv.includes("--check")) {
  for (const [name] of stale)
    process.stdout.write(`docs/reference/${name} is out of date: node scripts/reference.mjs\n`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const [name, text] of stale) writeFileSync(folder + name, text);
}
