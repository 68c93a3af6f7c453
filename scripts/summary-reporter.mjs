import { writeFileSync } from "node:fs";

/** Counts for the last line of `npm test`, and every skipped test with its reason. */
export default class SummaryReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const summary = { passed: 0, failed: unhandledErrors.length, skipped: [] };
    for (const module of modules) {
      if (module.errors().length > 0) summary.failed += 1;
      for (const test of module.children.allTests()) {
        const { state, note } = test.result();
        if (state === "passed") summary.passed += 1;
        else if (state === "failed") summary.failed += 1;
        else summary.skipped.push({ name: test.fullName, reason: note ?? "no reason given" });
      }
    }
    writeFileSync(process.env.FLEETMESH_TEST_SUMMARY, JSON.stringify(summary));
  }
}
