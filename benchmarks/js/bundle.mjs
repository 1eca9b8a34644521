// node bundle.mjs MODEL...: one minified bundle and page for each runtime, as a site would ship it.
import * as esbuild from 'esbuild';
import fs from 'node:fs';

// Tells the server, whoever looks at the window, too.
const TELL = `
function tell(found) {
  Object.assign(window, found);
  fetch('/told', { method: 'POST', body: JSON.stringify(found) });
}
`;

const COMMON = `
${TELL}
import { channelsLast } from '../tfjs_model.mjs';
const query = new URLSearchParams(location.search), stem = '/models/' + query.get('model');
const fetched = (suffix, kind = 'arrayBuffer') => fetch(stem + suffix, { cache: 'no-store' })
  .then((response) => response[kind]());
const shape = JSON.parse(query.get('shape'));
const x = new Float32Array(shape.reduce((a, b) => a * b, 1));
for (let i = 0; i < x.length; i++) x[i] = i % 17 / 17; // at once: this counts in every first result
async function start(load) {
  const begin = performance.now(), run = await load();
  await run();
  const first = performance.now(), firstDraws = window.counts && window.counts.draws;
  window.again = run;
  for (let i = 0; i < 3; i++) await run();
  tell({ first, firstRun: first - begin, firstDraws, finished: true });
}
start(load).catch((error) => tell({ failed: String(error) }));
`;

const TFJS = (backend, setup) => `
import * as tf from '@tensorflow/tfjs-core';
${setup}
import { makeModel } from '../tfjs_model.mjs';
${COMMON}
async function load() {
  const files = [fetched('.json', 'json'), fetched('.bin')];
  await tf.setBackend('${backend}');
  await tf.ready();
  const [layers, weights] = await Promise.all(files);
  const model = makeModel(tf, layers, new Float32Array(weights)), input = channelsLast(x, shape);
  return async () => {
    const y = tf.tidy(() => model(tf.tensor(input.data, input.shape)));
    await y.data();
    y.dispose();
  };
}`;

const OURS = (target, call, head, module) => `${head}
${COMMON}
async function load() {
  const module = ${module};
  const model = await module.load({ target: '${target}' });
  if (model.target !== '${target}') throw new Error(JSON.stringify(model.skipped));
  return () => model.${call}({ x: { data: x, shape } });
}`;

// A page for each model: a site imports the module that it needs, as the others do their runtimes.
const OURS_WASM = (name, suffix) => Object.fromEntries(process.argv.slice(2).map((model) => [
  `${name}.${model}`,
  OURS('wasm', 'runSync', `import * as own from '/models/${model}${suffix}';`, 'own')]));

const ENTRIES = {
  empty: `${TELL}tell({ first: performance.now(), finished: true });`,
  start: `const query = new URLSearchParams(location.search);
setTimeout(() => location.replace(query.get('page')), Number(query.get('after')));`,
  ...OURS_WASM('transpile wasm', '.mjs'),
  ...OURS_WASM('transpile wasm, side file', '.side.mjs'),
  'tfjs-wasm': TFJS('wasm', `import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
setWasmPaths('/node_modules/@tensorflow/tfjs-backend-wasm/dist/');`),
  'transpile webgl': OURS('webgl', 'run', '', "await import(stem + '.webgl.mjs')"),
  'tfjs-webgl': TFJS('webgl', "import '@tensorflow/tfjs-backend-webgl';"),
  'tfjs-cpu': TFJS('cpu', "import '@tensorflow/tfjs-backend-cpu';"),
  'onnxruntime-web': `
import * as ort from 'onnxruntime-web/wasm';
${COMMON}
async function load() {
  const file = fetched('.onnx');
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = '/node_modules/onnxruntime-web/dist/';
  ort.env.logLevel = 'error';
  const session = await ort.InferenceSession.create(new Uint8Array(await file),
    { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
  return async () => (await session.run({ x: new ort.Tensor('float32', x, shape) })).y.getData();
}`,
  'LiteRT.js': `
import * as lite from '@litertjs/core';
${COMMON}
async function load() {
  const file = fetched('.tflite');
  await lite.loadLiteRt('/node_modules/@litertjs/core/wasm/');
  const model = await lite.loadAndCompile(new Uint8Array(await file),
    { accelerator: 'wasm', cpuOptions: { numThreads: 1 } });
  const input = channelsLast(x, shape);
  return async () => {
    const tensor = new lite.Tensor(input.data, input.shape);
    const [result] = await model.run([tensor]);
    await result.data();
    result.delete();
    tensor.delete();
  };
}`
};

fs.mkdirSync('site', { recursive: true });
for (const [name, source] of Object.entries(ENTRIES)) {
  const stem = 'site/' + name.replace(/[ ,]+/g, '-');
  fs.writeFileSync(stem + '.entry.mjs', source);
  await esbuild.build({ entryPoints: [stem + '.entry.mjs'], outfile: stem + '.js', bundle: true,
    minify: true, format: 'esm', target: 'es2022', platform: 'browser', logLevel: 'error',
    external: ['fs', 'path', 'worker_threads', 'perf_hooks', 'os', 'node:*', 'module',
      '/models/*'] });
  fs.writeFileSync(stem + '.html', '<!doctype html><meta charset="utf-8"><title>x</title>' +
    `<script type="module" src="/${stem}.js"></script>`);
}
