// npm run bench [-- --only NAME[,NAME] --json FILE]: the figures of the README, measured here and now.
import { build, install, root } from "./prepare.mjs";

install();
build();
build(["test/bench"]);
await import(`${root}test/bench/dist/main.js`);
