// Single draws of a model, for debug builds and for pages that show what each takes.

// The draws of a run, to be made one by one; `named` says what each of them writes.
export function drawSteps({ gl, store, programs }, dims, heap, named) {
  store.fill(dims);
  const { planned, textures } = store;
  planned.inputs.forEach((tensor) => store.upload(heap, tensor));
  return planned.draws.map((step, i) => {
    const [label, dtype, texture, size, width, shape] = named[i];
    function read() {
      const values = readTensor(gl, textures[texture], size, width);
      return dtype === 'uint8' || dtype === 'bool' ? Uint8Array.from(values) : values.slice();
    }
    const onCpu = 'call' in step;
    const run = () => drawAll(gl, programs(), textures, [step], store.callBetween);
    return { label, kernel: label, buffer: label, dtype, shape, onCpu, run, read };
  });
}

export function textureBytes({ store, half }) {
  return store.planned.textures.reduce((sum, [kind, w, h, layers]) =>
    sum + (half && kind === 1 ? 8 : 16) * w * h * layers, 0);
}
