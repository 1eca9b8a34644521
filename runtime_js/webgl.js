// Runs a model as fragment shaders in WebGL2: a plan of textures and draws, nothing else.

export const shaderHead = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2DArray;
precision highp isampler2DArray;
`;

// One triangle covers the viewport.
export const vertexShader = `#version 300 es
void main() {
  gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1);
}
`;

// Lets the page breathe between slices of work.
export function nextTask() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}

// Whether it renders to float32, or half floats where these will do.
export function rendersFloats(gl, half) {
  return gl.getExtension('EXT_color_buffer_float') ||
    half && gl.getExtension('EXT_color_buffer_half_float');
}

export function createContext(canvas, fast, half) {
  const gl = canvas.getContext('webgl2', {
    antialias: false, depth: false, alpha: false, failIfMajorPerformanceCaveat: fast
  });
  if (!gl || gl.isContextLost()) throw new Error(gl ? contextLost : 'there is no WebGL2 here');
  if (!rendersFloats(gl, half)) {
    throw new Error(`WebGL2 does not render to float32 here${half ? ', nor to half floats' :
      rendersFloats(gl, true) ? ', but does to half floats: precision \'half\'' : ''}`);
  }
  return gl;
}

function startShader(gl, kind, source) {
  const shader = gl.createShader(kind);
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  return shader;
}

// Compiles all shaders at once where the driver can, and waits without blocking the page. Each
// program goes to `use` as soon as it is there: a list, as `split` makes several of some shaders.
export async function compilePrograms(gl, shaders, split, use, onProgress) {
  const parallel = gl.getExtension('KHR_parallel_shader_compile');
  const vertex = startShader(gl, gl.VERTEX_SHADER, vertexShader);
  const total = shaders.length;

  const start = (source) => split(source).map(startOne);

  function startOne(source) {
    const handle = gl.createProgram();
    const fragment = startShader(gl, gl.FRAGMENT_SHADER, shaderHead + source);
    gl.attachShader(handle, vertex);
    gl.attachShader(handle, fragment);
    gl.linkProgram(handle);
    return { handle, fragment };
  }

  async function finish({ handle, fragment }, source) {
    while (parallel && !gl.getProgramParameter(handle, parallel.COMPLETION_STATUS_KHR)) {
      await nextTask();
    }
    if (!gl.getProgramParameter(handle, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(`a shader fails: ${gl.getShaderInfoLog(fragment)} ${source}`);
    }
    gl.deleteShader(fragment);
    gl.useProgram(handle);
    const names = source.match(/^uniform i?sampler2DArray \w+/gm) || [];
    names.forEach((line, unit) => {
      gl.uniform1i(gl.getUniformLocation(handle, line.split(' ')[2]), unit);
    });
    return { handle, sizes: gl.getUniformLocation(handle, 'u') };
  }

  const started = parallel && shaders.map(start);
  for (const [i, source] of shaders.entries()) {
    const parts = [];
    for (const one of started ? started[i] : start(source)) parts.push(await finish(one, source));
    use(parts, i);
    if (onProgress) onProgress({ stage: 'programs', done: i + 1, total });
    await nextTask();
  }
  gl.deleteShader(vertex);
}

// A texture of the plan, [kind, width, height, layers], with a framebuffer for each `most` layers.
// Kinds are 0 for integers, 1 for floats, 2 for floats that are never drawn.
export function createTexture(gl, [isFloat, width, height, layers], most, half) {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D_ARRAY, texture);
  const kind = !isFloat ? gl.RGBA32I : half && isFloat < 2 ? gl.RGBA16F : gl.RGBA32F;
  gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, kind, width, height, layers);
  gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  const frames = [];
  for (let first = 0; first < layers; first += most) {
    const frame = gl.createFramebuffer(), buffers = [];
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    for (let layer = first; layer < Math.min(layers, first + most); layer++) {
      const place = gl.COLOR_ATTACHMENT0 + layer - first;
      gl.framebufferTextureLayer(gl.FRAMEBUFFER, place, texture, 0, layer);
      buffers.push(place);
    }
    gl.drawBuffers(buffers);
    frames.push(frame);
  }
  return { texture, isFloat, layers, frames };
}

export function deleteTexture(gl, { texture, frames }) {
  gl.deleteTexture(texture);
  frames.forEach((frame) => gl.deleteFramebuffer(frame));
}

// Uploads elements of `view` as rows of `width` texels; the last row may be short.
export function uploadTensor(gl, { texture, isFloat }, view, width) {
  const [type, format] = isFloat ? [gl.FLOAT, gl.RGBA] : [gl.INT, gl.RGBA_INTEGER];
  const height = Math.ceil(view.length / 4 / width);
  let data = view;
  if (view.length < 4 * width * height || view.BYTES_PER_ELEMENT < 4) {
    data = isFloat ? new Float32Array(4 * width * height) : new Int32Array(4 * width * height);
    data.set(view);
  }
  gl.bindTexture(gl.TEXTURE_2D_ARRAY, texture);
  gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, 0, width, height, 1, format, type, data);
}

// The draws of a plan in order; what is no draw goes to `between`.
export function drawAll(gl, programs, textures, draws, between) {
  for (const step of draws) {
    if (step.call) {
      between(step);
      continue;
    }
    const [program, inputs, output, sizes, width, height] = step;
    inputs.forEach((input, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D_ARRAY, textures[input].texture);
    });
    gl.viewport(0, 0, width, height);
    programs[program].forEach(({ handle, sizes: place }, part) => {
      gl.useProgram(handle);
      if (place) gl.uniform1iv(place, sizes);
      gl.bindFramebuffer(gl.FRAMEBUFFER, textures[output].frames[part]);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    });
  }
  gl.activeTexture(gl.TEXTURE0);
}

// Reads a tensor of `size` elements in rows of `width` texels, dealt to the texture's layers.
export function readTensor(gl, { frames, isFloat, layers }, size, width) {
  const [type, format] = isFloat ? [gl.FLOAT, gl.RGBA] : [gl.INT, gl.RGBA_INTEGER];
  const rows = Math.ceil(size / 4 / width);
  const height = Math.ceil(rows / layers);
  const make = (length) => isFloat ? new Float32Array(length) : new Int32Array(length);
  const whole = make(4 * width * height * layers);
  const part = layers === 1 ? whole : make(4 * width * height);
  const each = layers / frames.length;
  for (let layer = 0; layer < layers; layer++) {
    gl.bindFramebuffer(gl.FRAMEBUFFER, frames[Math.floor(layer / each)]);
    gl.readBuffer(gl.COLOR_ATTACHMENT0 + layer % each);
    // A context that is lost just now leaves everything as it was, and does not say so yet.
    part[0] = isFloat ? -8.765e-33 : -1987654321;
    const [unread] = part;
    gl.readPixels(0, 0, width, height, format, type, part);
    if (size && part[0] === unread) throw new Error(contextLost);
    for (let row = 0; layers > 1 && row < height; row++) {
      whole.set(part.subarray(4 * width * row, 4 * width * (row + 1)),
        4 * width * (row * layers + layer));
    }
  }
  return whole.subarray(0, size);
}

// Milliseconds of a run that reading its results waits for.
export const lastWait = 8;

// Waits until the GPU has done everything so far, without blocking the page. Looking all the time
// would take a processor from a GPU that is the CPU. Browsers tell late that a fence was passed: if
// it is known what to expect, the last milliseconds are left to who reads the results. Says whether
// the GPU was done before that.
export async function finished(gl, expected) {
  const sync = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
  gl.flush();
  const start = performance.now();
  let pause = expected - lastWait, early;
  do {
    await (pause > 2 ? new Promise((resolve) => setTimeout(resolve, pause)) : nextTask());
    pause = (performance.now() - start) / 16;
    early = gl.isContextLost() || gl.clientWaitSync(sync, 0, 0) !== gl.TIMEOUT_EXPIRED;
  } while (!early && !expected);
  gl.deleteSync(sync);
  return early;
}

// A matrix that lies in panels of `from` columns, in panels of `to` columns.
export function inPanels(view, columns, from, to) {
  const rows = view.length / columns;
  const result = view.slice();
  let at = 0;
  for (let start = 0; start < columns; start += to) {
    for (let row = 0; row < rows; row++) {
      for (let col = start; col < start + to; col++) {
        const inside = col % from;
        result[at++] = view[(col - inside) * rows + row * from + inside];
      }
    }
  }
  return result;
}

export const contextLost = 'the WebGL context was lost';

// Draws one pixel with a program, since drivers finish compiling at the first draw: meanwhile the
// next one is compiled, and weights come.
export function warmUp(gl, programs, number, { textures, planned }) {
  gl.enable(gl.SCISSOR_TEST);
  gl.scissor(0, 0, 1, 1);
  drawAll(gl, programs, textures, [planned.draws.find((step) => step[0] === number)]);
  gl.disable(gl.SCISSOR_TEST);
  gl.flush();
}

// A tensor in the memory of the CPU is [texture, view, at, size, width in texels], and for a matrix
// in other panels there than in its texture [..., columns, panel there, panel in the texture].
export function valuesOf(memory, [, name, at, size, , columns, from, to]) {
  const view = memory[name].subarray(at, at + size);
  return to ? inPanels(view, columns, from, to) : view;
}

export function viewsOf(bytes) {
  const scratch = new ArrayBuffer(bytes);
  return {
    f32: new Float32Array(scratch), i32: new Int32Array(scratch), u8: new Uint8Array(scratch)
  };
}

// The textures of a model for the sizes of a run, and what goes there.
export function createStore(gl, { plan, weights, heap }, most, half) {
  const store = { textures: [], planned: {}, upload, download, callBetween, free, allocate, fill };

  function upload(memory, tensor) {
    uploadTensor(gl, store.textures[tensor[0]], valuesOf(memory, tensor), tensor[4]);
  }

  function download(memory, [texture, name, at, size, width]) {
    memory[name].set(readTensor(gl, store.textures[texture], size, width), at);
  }

  // A call on the CPU, between draws or after them.
  function callBetween({ reads, copies, call, writes }) {
    const { memory } = store.planned;
    reads.forEach((tensor) => download(memory, tensor));
    for (const [tensor, at] of copies) memory[tensor[1]].set(valuesOf(heap(), tensor), at);
    call(memory, heap());
    writes.forEach((tensor) => upload(memory, tensor));
  }

  function free() {
    store.textures.forEach((one) => deleteTexture(gl, one));
    store.textures = [];
  }

  // Textures without the weights; kept while the sizes stay.
  function allocate(dims) {
    const key = String(dims);
    if (store.textures.length && key === store.planned.key) return;
    free();
    const planned = store.planned = Object.assign(plan(...dims), { key, missing: [...weights] });
    const side = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    if (!gl.isContextLost() && planned.textures.some(([, w, h]) => w > side || h > side)) {
      throw new Error(`textures of more than ${side} texels a side are needed`);
    }
    store.textures = planned.textures.map((one) => createTexture(gl, one, most, half));
    planned.memory = viewsOf(planned.scratch || 0);
  }

  // The same with the weights in them.
  function fill(dims) {
    allocate(dims);
    store.planned.missing.splice(0).forEach((tensor) => upload(heap(), tensor));
  }

  return store;
}

// From the inputs in the heap to textures that are made, or nearly so: says as `finished` which.
export async function runDraws(gl, store, programs, heap, check) {
  const { planned } = store;
  planned.inputs.forEach((tensor) => store.upload(heap, tensor));
  drawAll(gl, programs, store.textures, planned.draws, store.callBetween);
  check('draws');
  return finished(gl, planned.time);
}

// The outputs into the heap, and what the CPU makes of what is left.
export function readResults(store, heap) {
  const { results, tail } = store.planned;
  results.forEach((tensor) => store.download(heap, tensor));
  if (tail) store.callBetween(tail);
}

export function checkErrors(gl, what) {
  const error = gl.getError();
  if (error && error !== gl.CONTEXT_LOST_WEBGL) throw new Error(`WebGL ${error} in ${what}`);
}

// The programs of a model, and its textures where their sizes are known.
async function preparePrograms(gl, { shaders, plan, ready }, store, split, onProgress) {
  const programs = [], fixed = !plan.length;
  store.textures = [];
  if (fixed) store.allocate([]);
  await compilePrograms(gl, shaders, split, (parts, i) => {
    programs[i] = parts;
    if (fixed) warmUp(gl, programs, i, store);
  }, onProgress);
  await ready;
  if (fixed) store.fill([]);
  await finished(gl);
  return programs;
}

// Opens a model: `shaders`, `plan(...dims)`, and `weights` as tensors in `heap()` once `ready`.
export async function openWebgl(model, { canvas, onProgress, debug, target, precision }) {
  const surface = canvas || createSurface();
  const half = precision === 'half';
  const gl = createContext(surface, target !== 'webgl', half);
  const { most, split } = model.dealTargets ? model.dealTargets(gl, half) :
    { most: 4, split: (source) => [source] };
  const store = createStore(gl, model, most, half);
  const check = (what) => debug && checkErrors(gl, what);
  const watch = watchContext(surface);
  let programs = [];

  async function build() {
    watch.losses = 0;
    programs = await preparePrograms(gl, model, store, split, onProgress);
    check('programs');
  }

  await build();

  // Made again if the context is lost meanwhile.
  async function run(dims, attempt = 0) {
    if (watch.losses || gl.isContextLost()) {
      await awaitContext(gl, half);
      await build();
    }
    try {
      store.fill(dims);
      const start = performance.now();
      const early = await runDraws(gl, store, programs, model.heap(), check);
      if (watch.losses) throw new Error(contextLost);
      readResults(store, model.heap());
      // A wait that was too long is no measure of the next one.
      store.planned.time = (performance.now() - start) * (early ? 0.9 : 1);
      check('results');
    } catch (error) {
      if (error.message !== contextLost || attempt > 2) throw error;
      if (!watch.losses) await awaitLoss(gl, true, 50);
      await run(dims, attempt + 1);
    }
  }

  function dispose() {
    store.free();
    for (const parts of programs) parts.forEach(({ handle }) => gl.deleteProgram(handle));
    watch.stop(!canvas && gl.getExtension('WEBGL_lose_context'));
  }

  return { run, dispose, half, gl, store, programs: () => programs };
}
