// node latency.mjs CONFIG.json RESULT.json: times runtimes on one model, in interleaved rounds.
import fs from 'node:fs';
import { RUNTIMES } from './runtimes.mjs';

const config = JSON.parse(fs.readFileSync(process.argv[2]));
const { stem, shape, tolerance, seconds, rounds } = config;
const floats = (file) => new Float32Array(new Uint8Array(fs.readFileSync(file)).buffer);
const x = floats(stem + '.x.bin'), expected = floats(stem + '.y.bin');

// Largest error relative to the largest output.
function error(actual) {
  if (actual.length !== expected.length) return Infinity;
  let worst = 0, scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]);
    worst = difference <= worst ? worst : difference;
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  return worst / scale;
}

// Milliseconds per call over `count` calls: [by the clock, of processor time].
async function time(runner, count) {
  if (runner.time) return runner.time(count);
  const before = process.cpuUsage(), start = performance.now();
  for (let i = 0; i < count; i++) {
    if (runner.sync) runner.run();
    else await runner.run();
  }
  const wall = performance.now() - start, { user, system } = process.cpuUsage(before);
  return [wall / count, (user + system) / 1000 / count];
}

async function prepare(name) {
  const loading = performance.now();
  const runner = await RUNTIMES[name](stem, x, shape, config);
  const running = performance.now();
  await runner.run();
  const done = performance.now();
  const entry = { name, runner, times: [], cpu: [], load: running - loading, first: done - running,
    error: error(runner.result()) };
  if (!(entry.error <= tolerance)) {
    throw new Error(`the result is off by ${entry.error} of the largest output`);
  }
  return entry;
}

// Warms up for a while, and settles how many calls make one sample of some milliseconds.
async function warmUp(entry) {
  const start = performance.now();
  let perCall = entry.first, count = 1;
  do {
    [perCall] = await time(entry.runner, count);
    count = Math.max(1, Math.min(2 * count, Math.ceil(20 / perCall)));
  } while (performance.now() - start < 1000 * config.warmUp);
  entry.count = Math.max(1, Math.ceil(config.sample / perCall));
}

async function measure(entries) {
  const start = performance.now();
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[(i + round) % entries.length];
      const [wall, cpu] = await time(entry.runner, entry.count);
      entry.times.push(wall);
      entry.cpu.push(cpu);
    }
    if (round >= 6 && performance.now() - start > 1000 * seconds) break;
  }
}

// Runtimes print as they like; only the file is the answer.
for (const name of ['log', 'info', 'warn', 'error', 'debug']) console[name] = () => {};
const entries = [], failed = {};
for (const name of config.runtimes) {
  try {
    entries.push(await prepare(name));
  } catch (problem) {
    failed[name] = String(problem && problem.message || problem);
  }
}
for (const entry of entries) await warmUp(entry);
await measure(entries);
for (const { runner } of entries) if (runner.close) runner.close();
const results = entries.map(({ runner, ...rest }) => rest);
const peak = process.resourceUsage().maxRSS * 1024;
fs.writeFileSync(process.argv[3], JSON.stringify({ node: process.version, results, failed, peak }));
process.exit(0);
