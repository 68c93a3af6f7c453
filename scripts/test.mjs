// npm test: installs, provisions the servers and clients it can, checks and runs everything.
// The last line of output is `N passed, N failed, N skipped`.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, install, root } from "./prepare.mjs";

install();
build();
build(["test/bench"]);

// Downloads while the checks run.
const selection = process.argv.slice(2);
const provision = [`${root}scripts/provision.mjs`, ...(wantsPulsar() ? [] : ["--no-pulsar"])];
const provisioned = once(spawn(process.execPath, provision, { stdio: ["ignore", 2, 2] }), "exit");

const bin = (path) => `${root}node_modules/${path}`;
const node = (args, env = {}) =>
  spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env },
  });

const checks = [
  ["format", [bin("prettier/bin/prettier.cjs"), "--check", "--log-level", "warn", "."]],
  ["lint", [bin("eslint/bin/eslint.js"), "."]],
  ["types", [bin("typescript/bin/tsc"), "-p", "tsconfig.test.json"]],
];
const summaryFile = `${root}.cache/test-summary.json`;
mkdirSync(`${root}.cache`, { recursive: true });
rmSync(summaryFile, { force: true });

const failedChecks = checks.filter(([name, args]) => {
  process.stdout.write(`-- ${name}\n`);
  return node(args).status !== 0;
});
await provisioned;
const vitest = [
  bin("vitest/vitest.mjs"),
  "run",
  "--reporter=default",
  "--reporter=./scripts/summary-reporter.mjs",
];
// A temp folder of the run's own: what a test or a killed process leaves there is told, and goes.
const temp = mkdtempSync(join(tmpdir(), "fleetmesh-test-"));
const { status } = node([...vitest, ...selection], {
  FLEETMESH_TEST_SUMMARY: summaryFile,
  TMPDIR: temp,
});
const leftBehind = readdirSync(temp);
rmSync(temp, { recursive: true, force: true });
if (leftBehind.length > 0)
  process.stdout.write(`left behind in the temp folder: ${leftBehind.join(", ")}\n`);

let summary;
try {
  summary = JSON.parse(readFileSync(summaryFile, "utf8"));
} catch {
  summary = { passed: 0, failed: 1, skipped: [] };
  process.stdout.write("The test runner ended without a summary.\n");
}
for (const { name, reason } of summary.skipped)
  process.stdout.write(`skipped: ${name} (${reason})\n`);
for (const [name] of failedChecks) process.stdout.write(`failed: ${name}\n`);
const passed = summary.passed + checks.length - failedChecks.length;
const missing =
  process.env.CI === "true"
    ? summary.skipped.filter(({ reason }) => reason.startsWith("missing "))
    : [];
for (const { name } of missing) process.stdout.write(`failed: ${name} (CI must provide it)\n`);
const failedTests = Math.max(summary.failed, status === 0 ? 0 : 1);
const failed = failedTests + failedChecks.length + missing.length;
process.stdout.write(
  `${passed} passed, ${failed} failed, ${summary.skipped.length - missing.length} skipped\n`,
);
process.exit(failed === 0 ? 0 : 1);

/** 245 MB that a run of other projects alone does not need. */
function wantsPulsar() {
  const args = selection.join(" ");
  return !args.includes("--project") || /--project[= ]pulsar/.test(args);
}
