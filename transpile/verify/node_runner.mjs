// Runs emitted modules for transpile.verify.node: one JSON request per line on stdin, one JSON
// answer per line on stdout. Tensors travel as base64, large ones as files in the folder argv[2].
import inspector from 'node:inspector';
import fs from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const FILE_BYTES = 1 << 20;
const folder = process.argv[2];
const require = createRequire(import.meta.url);
const views = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array, bool: Uint8Array };

// stdout carries answers only: what a module prints goes to stderr.
const answer = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);

let files = 0;

function decode(tensor) {
  const bytes = tensor.file ? fs.readFileSync(tensor.file) : Buffer.from(tensor.base64, 'base64');
  const copy = new Uint8Array(bytes);
  return { data: new views[tensor.dtype](copy.buffer), shape: tensor.shape };
}

function encode(tensor) {
  const { data, shape, dtype } = tensor;
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (bytes.length <= FILE_BYTES) {
    return { dtype, shape, base64: bytes.toString('base64') };
  }
  const file = path.join(folder, 'out' + files++ + '.bin');
  fs.writeFileSync(file, bytes);
  return { dtype, shape, file };
}

function map(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

// A script either sets a global or declares a name that only later scripts can see.
function runScript(text, file) {
  const before = new Set(Object.keys(globalThis));
  new vm.Script(text, { filename: file }).runInThisContext();
  const added = Object.keys(globalThis).filter((key) => !before.has(key));
  const declared = /^(?:const|let|var)\s+([\w$]+)\s*=/m.exec(text);
  const names = declared ? [...added, declared[1]] : added;
  const values = names.map((name) => new vm.Script(name).runInThisContext());
  return values.find((value) => value && typeof value.load === 'function');
}

const modules = new Map();

async function moduleAt(file, format) {
  if (!modules.has(file)) {
    if (format === 'cjs') modules.set(file, require(file));
    else if (format === 'iife') modules.set(file, runScript(fs.readFileSync(file, 'utf8'), file));
    else modules.set(file, await import(pathToFileURL(file).href));
  }
  return modules.get(file);
}

const models = new Map();

async function modelAt(request) {
  const key = request.path + '|' + request.target;
  if (!models.has(key)) {
    const module = await moduleAt(request.path, request.format);
    const started = performance.now();
    const weights = request.weights && fs.readFileSync(request.weights);
    models.set(key, await module.load({ target: request.target, weights, returnState: true }));
    models.get(key).loadTime = performance.now() - started;
  }
  const model = models.get(key);
  if (request.target !== 'auto' && model.target !== request.target) {
    throw new Error('target ' + request.target + ' is not available here: ' +
      JSON.stringify(model.skipped || []));
  }
  return model;
}

function describe(model) {
  const { target, inputs, outputs, skipped } = model;
  return { target, inputs, outputs, skipped: skipped || [] };
}

async function timed(model, inputs, request) {
  const once = model.runSync && (model.target === 'js' || model.target === 'wasm')
    ? () => model.runSync(inputs) : () => model.run(inputs);
  await once();
  const times = [];
  const started = performance.now();
  while (times.length < request.minRuns || performance.now() - started < request.milliseconds) {
    const before = performance.now();
    await once();
    times.push(performance.now() - before);
  }
  const profile = await profiled(once, Math.max(times.length, 20));
  return { times, profile, loadTime: model.loadTime };
}

// Self time by function name, from V8's own sampling: no instrumented build is needed.
async function profiled(once, runs) {
  const session = new inspector.Session();
  session.connect();
  const post = (method, params) => new Promise((resolve, reject) =>
    session.post(method, params, (error, result) => (error ? reject(error) : resolve(result))));
  await post('Profiler.enable');
  await post('Profiler.setSamplingInterval', { interval: 50 });
  await post('Profiler.start');
  for (let i = 0; i < runs; i++) await once();
  const { profile } = await post('Profiler.stop');
  session.disconnect();
  const names = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const times = {};
  profile.samples.forEach((id, i) => {
    const { functionName, lineNumber } = names.get(id);
    const key = functionName + ':' + (lineNumber + 1);
    times[key] = (times[key] || 0) + profile.timeDeltas[i] / 1000 / runs;
  });
  return times;
}

const handlers = {
  async describe(request) {
    return describe(await modelAt(request));
  },
  async run(request) {
    const model = await modelAt(request);
    if (model.reset) model.reset();
    return { outputs: map(await model.run(map(request.inputs, decode)), encode) };
  },
  async debug(request) {
    const model = await modelAt(request);
    return { steps: model.debug(map(request.inputs, decode)).map((step) =>
      ({ label: step.label, output: encode(step) })) };
  },
  async bench(request) {
    const model = await modelAt(request);
    return timed(model, map(request.inputs, decode), request);
  },
  async selfTest(request) {
    return (await modelAt(request)).selfTest();
  }
};

async function respond(line) {
  let request = {};
  try {
    request = JSON.parse(line);
    const result = await handlers[request.op](request);
    return { id: request.id, result };
  } catch (error) {
    const known = error instanceof Error;
    return { id: request.id, error: {
      name: known ? error.name : 'thrown value',
      message: known ? error.message : String(error),
      stack: known ? error.stack : ''
    } };
  }
}

let queue = Promise.resolve();
createInterface({ input: process.stdin }).on('line', (line) => {
  queue = queue.then(() => respond(line)).then((result) => answer(JSON.stringify(result) + '\n'));
}).on('close', () => queue.then(() => process.exit(0)));
