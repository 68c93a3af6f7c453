import { styleText } from "node:util";
import { MeshError } from "@fleetmesh/core";
import Table from "cli-table3";
import { stringify } from "yaml";

export const outputFormats = ["table", "json", "jsonl", "yaml"] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** Data goes to stdout in the format asked for; everything said about it goes to stderr. */
export class Output {
  readonly format: OutputFormat;
  readonly #isColoured: boolean;

  constructor(format: OutputFormat, isColoured: boolean) {
    this.format = format;
    this.#isColoured = isColoured;
  }

  /** A list, with the columns that a table shows. */
  list(rows: readonly Readonly<Record<string, unknown>>[], columns: readonly string[]): void {
    if (this.format === "table") process.stdout.write(this.#table(rows, columns));
    else if (this.format === "jsonl") for (const row of rows) this.line(row);
    else this.one(rows);
  }

  one(value: unknown): void {
    if (this.format === "yaml") process.stdout.write(stringify(value));
    else if (this.format === "jsonl") this.line(value);
    else process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
  }

  /** One fact as it happens. */
  line(value: unknown): void {
    process.stdout.write(`${typeof value === "string" ? value : JSON.stringify(value)}\n`);
  }

  note(text: string): void {
    process.stderr.write(`${this.paint("dim", text)}\n`);
  }

  error(error: MeshError): void {
    const head = error.kind === "CONFIG_INVALID" ? error.message : `${error.code} ${error.message}`;
    process.stderr.write(`${this.paint("red", head)}\n${this.paint("dim", error.hint)}\n`);
  }

  paint(style: "dim" | "red" | "green" | "yellow" | "cyan" | "bold", text: string): string {
    return this.#isColoured ? styleText(style, text) : text;
  }

  #table(rows: readonly Readonly<Record<string, unknown>>[], columns: readonly string[]): string {
    if (rows.length === 0) return "nothing\n";
    const none = [
      "top",
      "top-mid",
      "top-left",
      "top-right",
      "bottom",
      "bottom-mid",
      "bottom-left",
      "bottom-right",
      "left",
      "left-mid",
      "mid",
      "mid-mid",
      "right",
      "right-mid",
    ];
    const chars = { ...Object.fromEntries(none.map((name) => [name, ""])), middle: "  " };
    const style = { "padding-left": 0, "padding-right": 0, head: [], border: [] };
    const table = new Table({
      head: columns.map((name) => this.paint("bold", name)),
      chars,
      style,
    });
    for (const row of rows) table.push(columns.map((name) => cell(row[name])));
    return `${table.toString()}\n`;
  }
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return "-";
  return typeof value === "string" ? value : JSON.stringify(value);
}
