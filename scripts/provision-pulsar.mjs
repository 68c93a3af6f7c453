// Apache Pulsar for the tests, by the code of `mesh dev --pulsar`, which must be built. Never fails: without it the tests that
// need it say so.
const timeoutMs = 900_000;

export async function provisionPulsar() {
  try {
    const from = (name) => import(`../cli/dist/dev/pulsar/${name}.js`);
    const { ensurePulsar } = await from("pulsar-download");
    const { ProgressLine } = await from("progress-line");
    const { systemClock } = await import("@fleetmesh/core");
    const progress = new ProgressLine(process.stderr, systemClock);
    const tell = (step) => progress.show(step);
    await ensurePulsar({ tell, signal: AbortSignal.timeout(timeoutMs) });
    progress.end();
  } catch (error) {
    process.stderr.write(`Pulsar was not installed: ${error.message}\n`);
  }
}
