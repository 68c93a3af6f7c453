// npm run verify: what must be green at every commit, in under three minutes: format, lint, types, unit and contract tests.
import { spawnSync } from "node:child_process";
import { root } from "./prepare.mjs";

const { status } = spawnSync(
  process.execPath,
  [`${root}scripts/test.mjs`, "--project", "unit", "--project", "contract"],
  {
    cwd: root,
    stdio: "inherit",
  },
);
process.exit(status ?? 1);
