import { writeFile } from "node:fs/promises";
import { cpus, release } from "node:os";
import { parseArgs } from "node:util";
import type { Bench, Figure } from "./bench.ts";
import { cesqlEvalBench } from "./cesql-eval.ts";
import { edgeDrainBench } from "./edge-drain.ts";
import { edgeHttpBatchBench } from "./edge-http-batch.ts";
import { edgeMemoryBench } from "./edge-memory.ts";
import { edgeMqttBench } from "./edge-mqtt.ts";
import { endToEndBench } from "./end-to-end.ts";
import { geoLatencyBench } from "./geo-latency.ts";
import { pulsarDeliverBench } from "./pulsar-deliver.ts";
import { pulsarIngestBench } from "./pulsar-ingest.ts";
import { pushSignedBench } from "./push-signed.ts";
import { pushSingleBench } from "./push-single.ts";
import { rulesMatchBench } from "./rules-match.ts";
import { runtimeIngestBench } from "./runtime-ingest.ts";
import { transformBench } from "./transform-rules.ts";
import { wireBench } from "./wire.ts";

const benches: readonly Bench[] = [
  wireBench,
  cesqlEvalBench,
  edgeMqttBench,
  edgeHttpBatchBench,
  edgeDrainBench,
  edgeMemoryBench,
  runtimeIngestBench,
  pushSingleBench,
  pushSignedBench,
  transformBench,
  endToEndBench,
  pulsarIngestBench,
  pulsarDeliverBench,
  geoLatencyBench,
  rulesMatchBench,
];

/** `--only NAME[,NAME]` runs some; `--json FILE` writes the figures there. A Markdown table goes to stdout. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: "string" }, json: { type: "string" } } });
  const wanted = values.only?.split(",");
  const unknown = wanted?.filter((name) => !benches.some((bench) => bench.name === name)) ?? [];
  if (unknown.length > 0) {
    const known = benches.map(({ name }) => name).join(", ");
    process.stderr.write(`no bench ${unknown.join(", ")}; there are: ${known}\n`);
    process.exitCode = 2;
    return;
  }
  const results: (Figure & { readonly name: string })[] = [];
  process.stdout.write(
    `${machine()}\n\n| bench | figure | value | reach | |\n|---|---|---|---|---|\n`,
  );
  for (const bench of benches) {
    const { name } = bench;
    if (wanted !== undefined && !wanted.includes(name)) continue;
    for (const figure of await bench.run()) {
      results.push({ name, ...figure });
      process.stdout.write(row(name, figure));
    }
  }
  if (values.json !== undefined)
    await writeFile(values.json, `${JSON.stringify(results, null, 2)}\n`);
}

function machine(): string {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model ?? "?"}, ${process.platform} ${release()}, Node ${process.version}`;
}

function row(name: string, { figure, value, unit, reach, ok }: Figure): string {
  const mark = reach === "" ? "" : ok ? "ok" : "**not reached**";
  return `| ${name} | ${figure} | ${value.toPrecision(4)} ${unit} | ${reach} | ${mark} |\n`;
}

await main();
