// Runs emitted modules inside the page of transpile.verify.browser; tensors travel as base64.
const views = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array, bool: Uint8Array };

function decode(tensor) {
  const bytes = Uint8Array.from(atob(tensor.base64), (char) => char.charCodeAt(0));
  return { data: new views[tensor.dtype](bytes.buffer), shape: tensor.shape };
}

function encode({ data, shape, dtype }) {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) {
    text += String.fromCharCode.apply(null, bytes.subarray(i, i + 8192));
  }
  return { dtype, shape, base64: btoa(text) };
}

function map(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

let model;
let opened;

// One at a time: a browser takes away contexts of which there are too many.
async function modelAt(path, target, precision) {
  const key = [path, target, precision].join('|');
  if (opened !== key) {
    if (model) model.dispose();
    opened = model = undefined;
    model = await (await import(path)).load({
      target, precision, debug: true, returnState: true
    });
    opened = key;
  }
  checkTarget(target);
  return model;
}

// A model goes on with another target when its own fails, and says why.
function checkTarget(target) {
  if (target !== 'auto' && model.target !== target) {
    throw new Error('target ' + target + ' is not available here: ' +
      JSON.stringify(model.skipped || []));
  }
}

async function reported(work) {
  try {
    return await work();
  } catch (error) {
    return { error: error instanceof Error ? error.name + ': ' + error.message : String(error) };
  }
}

globalThis.transpileRunner = {
  run: (path, target, inputs, precision) => reported(async () => {
    const model = await modelAt(path, target, precision);
    if (model.reset) model.reset();
    const results = await model.run(map(inputs, decode));
    checkTarget(target);
    return { outputs: map(results, encode) };
  }),
  debug: (path, target, inputs) => reported(async () => {
    const model = await modelAt(path, target);
    return { steps: model.debug(map(inputs, decode)).map((step) =>
      ({ label: step.label, output: encode(step) })) };
  }),
  selfTest: (path, target) => reported(async () => {
    const model = await modelAt(path, target);
    return { result: await model.selfTest() };
  })
};
