// npm start: the whole mesh on this machine (= mesh dev).
import { build, install, root } from "./prepare.mjs";

install();
build();
// npm killed outright leaves its child behind: it must not go on alone, holding ports and data.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.kill(process.pid, "SIGTERM"), 500).unref();
process.argv.splice(2, 0, "dev");
await import(`${root}cli/dist/main.js`);
