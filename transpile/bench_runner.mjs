// node bench_runner.mjs REQUEST.json ANSWER.json, for transpile.bench: calls of a module, steps of
// its debug build and a loop at the machine's SIMD peak, timed in turns in this one process.
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';

const PEAK_LOOPS = 20000;
const request = JSON.parse(fs.readFileSync(process.argv[2]));
const views = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array, bool: Uint8Array };

function decode({ dtype, shape, base64 }) {
  const bytes = new Uint8Array(Buffer.from(base64, 'base64'));
  return { data: new views[dtype](bytes.buffer), shape };
}

const inputs = {};
for (const [name, tensor] of Object.entries(request.inputs)) inputs[name] = decode(tensor);

async function open(file, target) {
  const found = await import(pathToFileURL(file).href), module = found.load ? found : found.default;
  const start = performance.now(), model = await module.load({ target });
  if (model.target !== target) throw new Error(JSON.stringify(model.skipped));
  return { model, load: performance.now() - start };
}

// Milliseconds of each kernel call of one run, in order; `names` gets the kernels' names.
function timeSteps(model, names) {
  const times = [];
  names.length = 0;
  for (const { kernel, run } of model.steps(inputs)) {
    const start = performance.now();
    run();
    times.push(performance.now() - start);
    names.push(kernel);
  }
  return times;
}

function median(values) {
  const sorted = values.slice().sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

const entries = [];
for (const target of request.targets) {
  const { model, load } = await open(request.module, target);
  const stepped = request.debug && (await open(request.debug, target)).model;
  entries.push({ target, model, load, stepped, times: [], steps: [], names: [] });
}
const memory = new WebAssembly.Memory({ initial: 1 });
const binary = Buffer.from(request.peak, 'base64');
const { peak } = new WebAssembly.Instance(new WebAssembly.Module(binary), { m: { m: memory } })
  .exports;
const peaks = [];

// Calls until `milliseconds` have passed; kernels and the peak loop take turns with them.
function round(entry, milliseconds) {
  const start = performance.now();
  do {
    const before = performance.now();
    entry.model.runSync(inputs);
    entry.times.push(performance.now() - before);
    if (entry.stepped) entry.steps.push(timeSteps(entry.stepped, entry.names));
    for (let i = 0; i < 3; i++) {
      const now = performance.now();
      peak(PEAK_LOOPS);
      peaks.push(performance.now() - now);
    }
  } while (performance.now() - start < milliseconds);
}

for (const entry of entries) {
  round(entry, Math.min(1000, 300 * request.seconds));
  entry.times.length = entry.steps.length = 0;
}
const ROUNDS = 5;
for (let i = 0; i < ROUNDS; i++) {
  for (const entry of entries) round(entry, 1000 * request.seconds / ROUNDS / entries.length);
}
const targets = {};
for (const { target, load, times, steps, names } of entries) {
  const column = (i) => steps.map((run) => run[i]);
  targets[target] = { load, times, steps: names.map((kernel, i) => ({ kernel,
    fastest: Math.min(...column(i)), median: median(column(i)) })) };
}
const answer = { targets, peakLoops: PEAK_LOOPS, peakTime: Math.min(...peaks) };
fs.writeFileSync(process.argv[3], JSON.stringify(answer));
