// Times a module in the page of transpile.bench_browser, and the draws of its debug build.
import { measureModel, promiseClock } from './measure.js';
import * as model from './model.js';

const views = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array, bool: Uint8Array };

async function open(from, target, canvas) {
  const start = performance.now();
  const opened = await from.load({ target, canvas });
  if (opened.target !== target) throw new Error(JSON.stringify(opened.skipped));
  return { opened, load: performance.now() - start };
}

globalThis.timeModule = async ({ target, inputs, seconds, debug }) => {
  const given = {};
  for (const [name, { dtype, shape, base64 }] of Object.entries(inputs)) {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    given[name] = { data: new views[dtype](bytes.buffer), shape };
  }
  const { opened, load } = await open(model, target);
  for (let i = 0; i < 3; i++) await opened.run(given);
  const times = [];
  const start = performance.now();
  while (times.length < 3 || performance.now() - start < 1000 * seconds) {
    times.push(await promiseClock(() => opened.run(given), 1));
  }
  opened.dispose();
  if (!debug) return { times, load, kernels: [] };
  const canvas = document.createElement('canvas');
  const stepped = await open(await import('./debug.js'), target, canvas);
  const { kernels } = await measureModel(stepped.opened, given, canvas);
  stepped.opened.dispose();
  return { times, load, kernels };
};
