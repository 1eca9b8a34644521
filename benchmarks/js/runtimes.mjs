// One function per runtime: it loads a model and resolves to { run, result, sync }, where `run()`
// is one inference from the given input and `result()` the output of the last one.
import fs from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { makeModel, channelsLast } from './tfjs_model.mjs';

const require = createRequire(import.meta.url);
const modules = path.join(import.meta.dirname || path.dirname(new URL(import.meta.url).pathname),
  'node_modules');

function floats(file) {
  const bytes = fs.readFileSync(file);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

const transpile = (target, suffix = '.mjs') => async (stem, x, shape) => {
  const module = await import(pathToFileURL(stem + suffix).href);
  const model = await module.load({ target });
  if (model.target !== target) throw new Error(JSON.stringify(model.skipped));
  const input = { x: { data: x, shape } }, [{ name }] = model.outputs;
  let outputs;
  return { sync: true, run: () => { outputs = model.runSync(input); },
    result: () => outputs[name].data };
};

const tfjs = (backend) => async (stem, x, shape) => {
  const tf = require('@tensorflow/tfjs-core');
  const loaded = require('@tensorflow/tfjs-backend-' + backend);
  if (backend === 'wasm') {
    loaded.setWasmPaths(path.join(modules, '@tensorflow/tfjs-backend-wasm/dist/'));
  }
  await tf.setBackend(backend);
  await tf.ready();
  const model = makeModel(tf, JSON.parse(fs.readFileSync(stem + '.json')), floats(stem + '.bin'));
  const input = channelsLast(x, shape);
  let output;
  return { sync: true, result: () => output, run: () => {
    tf.engine().backendName === backend || tf.setBackend(backend);
    const y = tf.tidy(() => model(tf.tensor(input.data, input.shape)));
    output = y.dataSync();
    y.dispose();
  } };
};

async function onnxruntime(stem, x, shape) {
  const ort = await import('onnxruntime-web');
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  const session = await ort.InferenceSession.create(fs.readFileSync(stem + '.onnx'),
    { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
  let output;
  return { sync: false, result: () => output, run: async () => {
    output = (await session.run({ x: new ort.Tensor('float32', x, shape) })).y.data;
  } };
}

// LiteRT.js loads its wasm with importScripts: give it one.
function prepareForLiteRt(folder) {
  Object.assign(globalThis, { self: globalThis, require, __dirname: folder });
  globalThis.Module = { locateFile: (file) => folder + file };
  globalThis.importScripts = (file) => {
    globalThis.__filename = file;
    const code = fs.readFileSync(file, 'utf8') + '\n;globalThis.ModuleFactory = ModuleFactory;';
    vm.runInThisContext(code, { filename: file });
  };
}

async function litert(stem, x, shape) {
  const folder = path.join(modules, '@litertjs/core/wasm/');
  prepareForLiteRt(folder);
  const lite = await import('@litertjs/core');
  await lite.loadLiteRt(folder);
  const model = await lite.loadAndCompile(new Uint8Array(fs.readFileSync(stem + '.tflite')),
    { accelerator: 'wasm', cpuOptions: { numThreads: 1 } });
  const input = channelsLast(x, shape);
  let output;
  return { sync: false, result: () => output, run: async () => {
    const tensor = new lite.Tensor(input.data, input.shape);
    const [result] = await model.run([tensor]);
    output = await result.data();
    result.delete();
    tensor.delete();
  } };
}

// onnxruntime's Python package in a process of its own, which times itself: see native.py.
async function native(stem, x, shape, { python, script }) {
  const child = spawn(python, [script, stem], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (count) => {
    child.stdin.write(count + '\n');
    return JSON.parse((await lines.next()).value);
  };
  const output = await ask(0);
  return { sync: false, result: () => output, time: (count) => ask(count),
    run: () => ask(1), close: () => child.stdin.end() };
}

export const RUNTIMES = {
  'transpile js': transpile('js'),
  'transpile wasm': transpile('wasm'),
  'transpile wasm, side file': transpile('wasm', '.side.mjs'),
  'onnxruntime-web': onnxruntime,
  'tfjs-wasm': tfjs('wasm'),
  'LiteRT.js': litert,
  'tfjs-cpu': tfjs('cpu'),
  'onnxruntime native': native
};
