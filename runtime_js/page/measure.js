// How long calls take where the clock is coarse: they are repeated until it can tell.

export const ENOUGH = 2;
export const ENOUGH_DRAWS = 10;
export const WARM_UP = 100;
export const MOST_REPEATS = 1e6;

export function pause() {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

export function median(values) {
  const sorted = values.slice().sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// A clock gives the milliseconds of `count` calls of `run`; this one is for calls on the CPU.
export async function wallClock(run, count) {
  const start = performance.now();
  for (let i = 0; i < count; i++) run();
  return performance.now() - start;
}

// For calls that give a promise.
export async function promiseClock(run, count) {
  const start = performance.now();
  for (let i = 0; i < count; i++) await run();
  return performance.now() - start;
}

// For draws: the GPU's own timer where there is one, else reading a pixel back waits for them.
export function gpuClock(gl) {
  const timer = gl.getExtension('EXT_disjoint_timer_query_webgl2');
  const pixel = new Uint8Array(4);
  const frame = gl.createFramebuffer();
  const buffer = gl.createRenderbuffer();
  gl.bindRenderbuffer(gl.RENDERBUFFER, buffer);
  gl.renderbufferStorage(gl.RENDERBUFFER, gl.RGBA8, 1, 1);
  gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
  gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.RENDERBUFFER, buffer);

  function wait() {
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
  }

  async function fenced(run, count) {
    wait();
    const start = performance.now();
    wait();
    const between = performance.now();
    for (let i = 0; i < count; i++) run();
    wait();
    return Math.max(0, performance.now() - between - (between - start));
  }

  async function queried(run, count) {
    const query = gl.createQuery();
    gl.beginQuery(timer.TIME_ELAPSED_EXT, query);
    for (let i = 0; i < count; i++) run();
    gl.endQuery(timer.TIME_ELAPSED_EXT);
    wait();
    for (let tries = 0; tries < 100; tries++) {
      if (gl.getQueryParameter(query, gl.QUERY_RESULT_AVAILABLE)) break;
      await pause();
    }
    const time = gl.getQueryParameter(query, gl.QUERY_RESULT) / 1e6;
    gl.deleteQuery(query);
    return time && !gl.getParameter(timer.GPU_DISJOINT_EXT) ? time : fenced(run, count);
  }

  function end() {
    gl.deleteFramebuffer(frame);
    gl.deleteRenderbuffer(buffer);
  }
  return { fenced, queried: timer ? queried : fenced, end };
}

// The median time of a call in milliseconds.
export async function timeCall(clock, run, samples, enough = ENOUGH) {
  let count = 1;
  let times;
  let total;
  do {
    times = [];
    total = 0;
    while (times.length < samples && total < 1000) {
      times.push(await clock(run, count));
      total += times[times.length - 1];
      if (times[0] < enough / 2) break;
      await pause();
    }
    count *= 4;
    // One that was held up by something else says nothing.
  } while (median(times) < enough / 2 && count < MOST_REPEATS);
  return median(times) * 4 / count;
}

// Milliseconds of each kernel of a run, in the order of their first calls; `gl` is for draws.
export async function timeKernels(model, given, gl) {
  const kernels = new Map();
  const clock = gl && gpuClock(gl);
  for (const { kernel, run, onCpu } of model.steps(given)) {
    const time = clock
      ? await timeCall(onCpu ? clock.fenced : clock.queried, run, 3, ENOUGH_DRAWS)
      : await timeCall(wallClock, run, 3);
    const known = kernels.get(kernel) || { kernel, calls: 0, time: 0 };
    kernels.set(kernel, known);
    known.calls++;
    known.time += time;
  }
  if (clock) clock.end();
  return Array.from(kernels.values());
}

// The median of whole runs, each kernel's time, and bytes of memory; a GPU draws on `canvas`.
export async function measureModel(model, given, canvas) {
  const onGpu = model.target === 'webgl';
  // JavaScript is compiled as it runs.
  const start = performance.now();
  for (let i = 0; i < 200 && (!i || performance.now() - start < WARM_UP); i++) {
    await model.run(given);
  }
  const time = onGpu ? await timeCall(promiseClock, () => model.run(given), 7)
    : await timeCall(wallClock, () => model.runSync(given), 7);
  const kernels = await timeKernels(model, given, onGpu && canvas.getContext('webgl2'));
  return { time, kernels, memory: model.memory };
}
