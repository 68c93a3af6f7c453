/**
 * Where a worker thread's compiled file is, seen from the module that starts it. A thread always runs compiled code:
 * Node 20 cannot run TypeScript, so when the starting module itself runs from `src` (under the test runner) the thread's
 * file is taken from `dist`.
 */
export function threadEntry(moduleUrl: string, name: string): URL {
  if (!moduleUrl.endsWith(".ts")) return new URL(`./${name}.js`, moduleUrl);
  const inSource = new URL(`./${name}.js`, moduleUrl).href;
  return new URL(inSource.replace(/\/src\/(?!.*\/src\/)/, "/dist/"));
}
