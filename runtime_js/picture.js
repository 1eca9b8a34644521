// Pictures as inputs: ImageData, or whatever a canvas can draw.

export function isPicture(value) {
  const kind = kindOf(value);
  return /^(Image|Offscreen|Video|HTML(Can|Im|V))/.test(kind) ||
    kind === 'Object' && value.width > 0 && ArrayBuffer.isView(value.data);
}

// A side of the picture itself, whatever size a page shows it in.
export function pictureSide(value, side) {
  const keys = ['video', 'natural', 'display'].map((word) => word + side);
  return value[keys.find((key) => key in value) || side.toLowerCase()];
}

// Bytes of the whole picture; the canvas that they come from is kept for the next one.
export const pictureCanvas = {};
export function drawnPixels(value, width, height) {
  if (value.data) return value.data;
  const context = pictureCanvas.context = pictureCanvas.context ||
    createSurface().getContext('2d', { willReadFrequently: true });
  Object.assign(context.canvas, { width, height });
  context.drawImage(value, 0, 0);
  return context.getImageData(0, 0, width, height).data;
}

// Where the elements of a scaled side lie between those of the picture: [before, after, part].
export function between(size, wanted) {
  return Array.from({ length: wanted }, (_, i) => {
    const place = Math.max((i + 0.5) * size / wanted - 0.5, 0);
    const before = Math.floor(place);
    return [before, Math.min(before + 1, size - 1), place - before];
  });
}

// Bilinear, corners not aligned, no smoothing: what transpile.image does.
export function scaledPixels(pixels, [width, height], [wantedWidth, wantedHeight]) {
  const columns = between(width, wantedWidth);
  const pixel = (x, y, c) => pixels[4 * (y * width + x) + c];
  const mix = (a, b, part) => a + (b - a) * part;
  const result = new Float32Array(4 * wantedWidth * wantedHeight);
  let at = 0;
  for (const [above, below, down] of between(height, wantedHeight)) {
    for (const [left, right, across] of columns) {
      for (let c = 0; c < 4; c++) {
        const upper = mix(pixel(left, above, c), pixel(right, above, c), across);
        result[at++] = mix(upper, mix(pixel(left, below, c), pixel(right, below, c), across), down);
      }
    }
  }
  return result;
}

// Bytes as `channels` values each, in planes or pixel by pixel; one channel is grey (BT.601).
export function fromPixels(pixels, channels, inPlanes, range) {
  const count = pixels.length / 4;
  const values = new (range ? Float32Array : Uint8Array)(channels * count);
  const [low, high] = range || [0.5, 255.5]; // bytes are rounded down
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < channels; c++) {
      const byte = channels > 1 ? pixels[4 * i + c]
        : 0.299 * pixels[4 * i] + 0.587 * pixels[4 * i + 1] + 0.114 * pixels[4 * i + 2];
      const at = inPlanes ? c * count + i : channels * i + c;
      values[at] = low + (high - low) * byte / 255;
    }
  }
  return values;
}

// The value of an input for a picture: its values, or itself if it can stay what it is.
export function pictureValue({ name, picture, shape, range }, value, direct) {
  const own = [pictureSide(value, 'Width'), pictureSide(value, 'Height')];
  if (!(own[0] * own[1] > 0)) throw new TypeError(`input '${name}': the picture is not loaded`);
  const wanted = (axis) => shape[picture.indexOf(axis)];
  const channels = wanted('C');
  const size = ['W', 'H'].map((axis, i) => wanted(axis) > 0 ? wanted(axis) : own[i]);
  const [W, H] = size;
  const here = [...picture].map((axis) => ({ N: 1, C: channels, W, H })[axis]);
  const isOwn = String(size) === String(own);
  if (direct && isOwn && kindOf(value) !== 'Object') return { data: value, shape: here };
  const drawn = drawnPixels(value, ...own);
  const pixels = isOwn ? drawn : scaledPixels(drawn, own, size);
  const data = isOwn && channels === 4 ? pixels
    : fromPixels(pixels, channels, picture.includes('CH'), range);
  return { data, shape: here };
}

// `given` with values for pictures, except for the inputs in `direct`, which take them as they are.
export function takePictures(ports, given, direct = []) {
  const [first, second] = ports.filter((port) => !port.state);
  const isObject = kindOf(given) === 'Object';
  // An <img> has an x and a y of its own.
  const isBare = !second && isPicture(given) && !(isObject && first.name in given);
  if (!isBare && !isObject) return given;
  const values = Object.assign(Object.create(null), isBare ? { [first.name]: given } : given);
  for (const port of ports) {
    const value = values[port.name];
    if (port.picture && isPicture(value)) {
      values[port.name] = pictureValue(port, value, direct.includes(port.name));
    }
  }
  return values;
}
