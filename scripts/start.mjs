// npm start: the whole mesh on this machine (= mesh dev).
import { build, install, root } from "./prepare.mjs";

install();
build();
process.argv.splice(2, 0, "dev");
await import(`${root}cli/dist/main.js`);
