// Reads what a caller passes as inputs into the memory of the model.

// 'Float32Array', 'Array', 'Object', 'Number', ...
export function kindOf(value) {
  return Object.prototype.toString.call(value).slice(8, -1);
}

export function sizeOf(shape) {
  return shape.reduce((size, length) => size * length, 1);
}

// A value as `data`, nested as `layout` says, and its shape; flat data has that of the input.
export function unpack(port, value) {
  const shape = kindOf(value) === 'Object' && value.shape;
  const data = shape ? value.data : value;
  const layout = [];
  for (let list = data; Array.isArray(list) || ArrayBuffer.isView(list); list = list[0]) {
    layout.push(list.length);
  }
  const rest = Math.floor(sizeOf(layout) / sizeOf(port.shape.filter((length) => length >= 0)));
  const whole = port.shape.map((length) => length >= 0 ? length : rest);
  return {
    data,
    layout,
    shape: shape ? Array.from(shape, (length) => length >>> 0) : layout[1] >= 0 ? layout : whole
  };
}

// The values in the order of `ports`; a single one may come without its name.
export function orderInputs(ports, given) {
  const isObject = kindOf(given) === 'Object' && !(given.shape && 'data' in given && !ports[1]);
  if (!isObject && ports.length === 1) return [unpack(ports[0], given)];
  const got = Object.keys(Object(given));
  const names = ports.map((port) => port.name);
  if (got.length !== names.length || names.some((name) => !got.includes(name))) {
    throw new TypeError(`expected the inputs {${names.join(', ')}}, got {${got.join(', ')}}`);
  }
  return ports.map((port) => unpack(port, given[port.name]));
}

// Refuses a size for which the model would read more of a tensor than there is.
export function checkSize(size, most, text) {
  if (size > most) throw new TypeError(`${text} is at most ${most} in this model, got ${size}`);
}

// Checks one input and copies it to view[at] and on.
export function readInput(port, input, accepts, view, at, shape) {
  const { data, layout } = input;

  function fail(got) {
    const here = String(shape) === String(port.shape) ? '' : `here [${shape.join(', ')}], `;
    throw new TypeError(`input '${port.name}': expected ${port.dtype}[${port.shape.join(', ')}], ` +
      `${here}got ${got}`);
  }

  function fill(value, level) {
    if (level === layout.length) {
      if (!accepts.value(value)) fail(`the value ${String(value)}`);
      view[at++] = value;
    } else if (Object(value).length !== layout[level]) {
      fail('lists of unequal lengths');
    } else if (ArrayBuffer.isView(value)) {
      if (!accepts.array.test(kindOf(value))) fail(kindOf(value));
      view.set(value, at);
      at += value.length;
    } else {
      for (const part of value) fill(part, level + 1);
    }
  }

  const size = sizeOf(layout);
  if (!(size > 0) || size !== sizeOf(shape) || String(input.shape) !== String(shape)) {
    fail(`${kindOf(data)}[${(size === sizeOf(input.shape) ? input.shape : layout).join(', ')}]`);
  }
  fill(data, 0);
}

// What a dtype takes: kinds of typed arrays, and single values.
export const float32 = { array: /^Float/, value: (v) => typeof v === 'number' };
export const int32 = { array: /^(Int|Uint8|Uint16)/, value: (v) => v === (v | 0) };
export const uint8 = { array: /^Uint8/, value: (v) => v === (v & 255) };
export const bool = { array: /^Uint8/, value: (v) => v === !!v || v === +!!v };
