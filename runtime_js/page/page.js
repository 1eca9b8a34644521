// The page around a model: one control for each input, one view for each output.

export function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

export function format(value) {
  if (!isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e9) return String(value);
  return size >= 1e6 || size < 1e-4 ? value.toExponential(4) : String(+value.toPrecision(6));
}

// A number box for each element.
export function numberBoxes(input, changed) {
  const root = element('div', 'numbers');
  const boxes = input.example.map((value, i) => {
    const label = element('label');
    const box = element('input');
    label.append(element('span', '', input.labels[i] || (input.example.length > 1 ? i : '')), box);
    box.type = 'number';
    box.step = 'any';
    box.name = input.name;
    box.value = value;
    box.addEventListener('input', changed);
    root.append(label);
    return box;
  });
  return { root, read: () => boxes.map((box) => Number(box.value)) };
}

// What is on a canvas at the last `keep()`: a canvas is empty after a GPU has lost its contexts.
export function keptPixels(context) {
  const { canvas } = context;
  const kept = {
    image: null,
    keep() {
      kept.image = context.getImageData(0, 0, canvas.width, canvas.height);
    }
  };
  canvas.addEventListener('contextrestored', () => context.putImageData(kept.image, 0, 0));
  return kept;
}

// Lets a pointer draw white lines on a canvas.
export function drawOn(canvas, context, changed) {
  let from = null;
  function stroke(event) {
    if (!from) return;
    const box = canvas.getBoundingClientRect();
    const to = [(event.clientX - box.left) * canvas.width / box.width,
      (event.clientY - box.top) * canvas.height / box.height];
    Object.assign(context, { lineCap: 'round', lineJoin: 'round', strokeStyle: '#fff' });
    context.lineWidth = canvas.height / 9;
    context.beginPath();
    context.moveTo(...(from.length ? from : to));
    context.lineTo(...to);
    context.stroke();
    from = to;
    changed();
  }

  canvas.addEventListener('pointerdown', (event) => {
    from = [];
    canvas.setPointerCapture(event.pointerId);
    stroke(event);
  });
  canvas.addEventListener('pointermove', stroke);
  for (const end of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(end, () => { from = null; });
  }
}

// The mean ink, 0 to 1, of each cell of `cell` x `cell` pixels.
export function meanInk(pixels, width, height, cell) {
  return Array.from({ length: width * height }, (_, i) => {
    const [left, top] = [i % width * cell, Math.floor(i / width) * cell];
    let ink = 0;
    for (let y = top; y < top + cell; y++) {
      for (let x = left; x < left + cell; x++) ink += pixels[4 * (y * width * cell + x)];
    }
    return ink / (255 * cell * cell);
  });
}

// A canvas to draw on; each element is the ink of its cell, scaled to the input's range.
export function drawing(input, changed) {
  const { width, height, low, high } = input;
  const root = element('div', 'drawing');
  const canvas = element('canvas', 'paper');
  const cell = Math.max(1, Math.round(280 / Math.max(width, height)));
  canvas.width = width * cell;
  canvas.height = height * cell;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const kept = keptPixels(context);
  drawOn(canvas, context, () => {
    kept.keep();
    changed();
  });

  function show(values) {
    for (let i = 0; i < width * height; i++) {
      const ink = Math.round(255 * (values[i] - low) / (high - low));
      context.fillStyle = `rgb(${ink},${ink},${ink})`;
      context.fillRect(i % width * cell, Math.floor(i / width) * cell, cell, cell);
    }
    kept.keep();
  }

  const empty = new Array(width * height).fill(low);
  const button = element('button', 'plain', 'Clear');
  button.type = 'button';
  button.addEventListener('click', () => {
    show(empty);
    changed();
  });
  root.append(canvas, button);
  show(input.example || empty);
  return {
    root,
    read: () => meanInk(kept.image.data, width, height, cell).map((ink) => {
      const value = low + (high - low) * ink;
      return input.whole ? Math.round(value) : value;
    })
  };
}

// An image file, chosen or dropped, cut to the middle and scaled to the input's size; a side that
// the input leaves open (0) is the image's own.
export function picture(input, changed) {
  const { width, height } = input;
  const root = element('label', 'drop');
  const canvas = element('canvas', 'paper');
  canvas.width = width || 64;
  canvas.height = height || 64;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.fillRect(0, 0, canvas.width, canvas.height);
  const kept = keptPixels(context);
  kept.keep();
  const chooser = element('input');
  chooser.type = 'file';
  chooser.accept = 'image/*';
  root.append(canvas, element('span', '', 'Drop an image here, or choose one'), chooser);

  function show(file) {
    if (!file) return;
    createImageBitmap(file).then((image) => {
      const scale = Math.max(width / image.width, height / image.height) || 1;
      const [w, h] = [image.width * scale, image.height * scale];
      canvas.width = width || Math.round(w);
      canvas.height = height || Math.round(h);
      context.drawImage(image, (canvas.width - w) / 2, (canvas.height - h) / 2, w, h);
      kept.keep();
      changed();
    }, () => showStatus(`${file.name} is no image that this browser reads`, 'error'));
  }

  chooser.addEventListener('change', () => show(chooser.files[0]));
  root.addEventListener('dragover', (event) => event.preventDefault());
  root.addEventListener('drop', (event) => {
    event.preventDefault();
    show(event.dataTransfer.files[0]);
  });
  return { root, read: () => kept.image };
}

// Whole numbers with commas between; a fixed length is filled up with zeros.
export function numberList(input, changed) {
  const root = element('div', 'list');
  const box = element('textarea');
  box.name = input.name;
  box.spellcheck = false;
  box.value = input.example.join(', ');
  box.addEventListener('input', changed);
  const button = element('button', 'plain', 'Random');
  button.type = 'button';
  button.addEventListener('click', () => {
    const { low, high, whole } = input;
    const value = () => low + Math.random() * (high - low);
    const numbers = input.example.map(() => whole ? Math.floor(value()) : value().toFixed(3));
    box.value = numbers.join(', ');
    changed();
  });
  root.append(box, button);

  function read() {
    const values = box.value.split(/[\s,;[\]]+/).filter((word) => word).map(Number);
    const missing = input.open ? 0 : Math.max(0, input.example.length - values.length);
    return values.concat(new Array(missing).fill(0));
  }
  return { root, read };
}

// The last dimension takes what the data has where it is named.
export function shapeFor(input, data) {
  const shape = input.shape.slice();
  if (input.open) shape[shape.length - 1] = data.length;
  return shape;
}

export function bars(root, data, labels) {
  const order = Array.from(data.keys());
  if (data.length > 10) order.sort((a, b) => data[b] - data[a]);
  const shown = order.slice(0, 10);
  const best = data.indexOf(Math.max(...data));
  const top = Math.max(...shown.map((i) => Math.abs(data[i]))) || 1;
  const sum = data.reduce((total, value) => total + value, 0);
  const isShare = Math.abs(sum - 1) < 1e-3 && data.every((value) => value >= 0);
  root.dataset.best = labels[best] || best;
  root.replaceChildren(...shown.map((i) => {
    const row = element('div', i === best ? 'bar best' : 'bar');
    const fill = element('i');
    const track = element('span', 'track');
    fill.style.width = `${100 * Math.abs(data[i]) / (isShare ? 1 : top)}%`;
    track.append(fill);
    const text = isShare ? `${(100 * data[i]).toFixed(1)} %` : format(data[i]);
    row.append(element('span', 'label', labels[i] || i), track, element('span', 'value', text));
    return row;
  }));
}

export function showOutput(root, output, labels) {
  const { data, shape, dtype } = output;
  if (data.length === 1) {
    const label = dtype === 'int32' && labels[data[0]];
    root.replaceChildren(element('output', 'number', label || format(data[0])));
    root.dataset.best = label || data[0];
  } else if (data.length <= 1000) {
    bars(root, data, labels);
  } else {
    const first = Array.from(data.subarray(0, 20), format).join(', ');
    root.replaceChildren(element('p', 'values', `[${shape.join(', ')}]: ${first}, ...`));
  }
}

// What the controls hold, by name.
export function readControls(config, controls) {
  const given = Object.create(null);
  config.inputs.forEach((input, i) => {
    const data = controls[i].read();
    given[input.name] = data instanceof ImageData ? data : { data, shape: shapeFor(input, data) };
  });
  return given;
}

// Runs the model on what the controls hold, shows the results, and gives the time in ms.
export async function predictOnce(model, config, controls) {
  const given = readControls(config, controls);
  const started = performance.now();
  const results = await model.run(given);
  const time = performance.now() - started;
  config.outputs.forEach((output, i) => {
    showOutput(document.getElementById(`output-${i}`), results[output.name], output.labels);
  });
  return time;
}

export function showStatus(textContent, className = '') {
  Object.assign(document.getElementById('status'), { textContent, className });
}

// The button of a model with a state.
export function startReset(page) {
  const button = document.getElementById('reset');
  if (!button) return;
  button.addEventListener('click', () => {
    if (!page.model) return;
    page.model.reset();
    showStatus('Reset: the next run begins with a state of zeros');
  });
}

export async function startPage(api, config) {
  const kinds = { numbers: numberBoxes, drawing, picture, list: numberList };
  const page = { model: null, given: () => readControls(config, controls), use };
  const speed = startSpeed(api, config, page);
  let waiting = false;
  let last;

  async function run() {
    waiting = false;
    try {
      last = await predictOnce(page.model, config, controls);
      showStatus(`${last.toFixed(last < 10 ? 2 : 0)} ms on ${page.model.target}`);
    } catch (error) {
      showStatus(error.message, 'error');
    }
    document.body.dataset.ready = 'true';
  }

  function use(model) {
    page.model = model;
    speed.render();
    return run();
  }

  // Changes that come faster than frames are answered once.
  function changed() {
    if (page.model && !waiting) {
      waiting = true;
      requestAnimationFrame(run);
    }
  }

  const controls = config.inputs.map((input, i) => {
    const control = kinds[input.kind](input, changed);
    document.getElementById(`input-${i}`).append(control.root);
    return control;
  });
  document.getElementById('predict').addEventListener('click', () => page.model && run());
  startReset(page);
  const model = await speed.open('auto');
  if (!model) return showStatus(speed.reason('auto'), 'error');
  await use(model);
  // What answers at once is measured unasked.
  return last < 50 && speed.measureAll();
}
