// Pictures as inputs: ImageData, or whatever a canvas can draw.

export function isPicture(value) {
  const kind = kindOf(value);
  return /^(Image(Data|Bitmap)|OffscreenCanvas|VideoFrame|HTML(Canvas|Image|Video)Element)$/
    .test(kind) || kind === 'Object' && value.width > 0 && ArrayBuffer.isView(value.data);
}

// A side of the picture itself, whatever size a page shows it in.
export function pictureSide(value, side) {
  const key = ['video', 'natural', 'display'].map((word) => word + side).find((k) => k in value);
  return value[key || side.toLowerCase()];
}

// Bytes of the whole picture; the canvas that they come from is kept for the next one.
export const pictureCanvas = {};
export function drawnPixels(value, width, height) {
  if (value.data) return value.data;
  const make = () => createSurface().getContext('2d', { willReadFrequently: true });
  const context = pictureCanvas.context = pictureCanvas.context || make();
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
  const result = new Float32Array(4 * wantedWidth * wantedHeight);
  let at = 0;
  for (const [above, below, down] of between(height, wantedHeight)) {
    for (const [left, right, across] of columns) {
      for (let c = 0; c < 4; c++) {
        const value = (x, y) => pixels[4 * (y * width + x) + c];
        const upper = value(left, above) + (value(right, above) - value(left, above)) * across;
        const lower = value(left, below) + (value(right, below) - value(left, below)) * across;
        result[at++] = upper + (lower - upper) * down;
      }
    }
  }
  return result;
}

// Bytes as `channels` values each, in planes or pixel by pixel; one channel is grey (BT.601).
export function fromPixels(pixels, channels, inPlanes, range) {
  const count = pixels.length / 4;
  const values = range ? new Float32Array(channels * count) : new Uint8Array(channels * count);
  const [low, high] = range || [0, 255];
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < channels; c++) {
      const byte = channels > 1 ? pixels[4 * i + c]
        : 0.299 * pixels[4 * i] + 0.587 * pixels[4 * i + 1] + 0.114 * pixels[4 * i + 2];
      values[inPlanes ? c * count + i : channels * i + c] =
        range ? low + (high - low) * byte / 255 : Math.round(byte);
    }
  }
  return values;
}

// The value of an input for a picture: its values, or itself if it can stay what it is.
export function pictureValue({ name, picture, shape, range }, value, direct) {
  const own = [pictureSide(value, 'Width'), pictureSide(value, 'Height')];
  if (!(own[0] > 0 && own[1] > 0)) {
    throw new TypeError(`input '${name}': the picture is not loaded`);
  }
  const channels = shape[picture.indexOf('C')];
  const size = ['W', 'H'].map((axis, i) => {
    const wanted = shape[picture.indexOf(axis)];
    return wanted > 0 ? wanted : own[i];
  });
  const here = Array.from(picture, (axis) => ({ N: 1, C: channels, W: size[0], H: size[1] })[axis]);
  const isOwn = String(size) === String(own);
  if (direct && isOwn && kindOf(value) !== 'Object') return { data: value, shape: here };
  const pixels = drawnPixels(value, ...own);
  if (isOwn && channels === 4) return { data: pixels, shape: here };
  const inPlanes = picture.indexOf('C') < picture.indexOf('H');
  const scaled = isOwn ? pixels : scaledPixels(pixels, own, size);
  return { data: fromPixels(scaled, channels, inPlanes, range), shape: here };
}

// `given` with values for pictures, except for the inputs in `direct`, which take them as they are.
export function takePictures(ports, given, direct = []) {
  const [first, second] = ports.filter((port) => !port.state);
  const isBare = !second && isPicture(given) &&
    !(kindOf(given) === 'Object' && first.name in given);
  if (!isBare && kindOf(given) !== 'Object') return given;
  const result = Object.create(null);
  for (const name of isBare ? [first.name] : Object.keys(given)) {
    const value = isBare ? given : given[name];
    const port = ports.find((one) => one.name === name && one.picture);
    result[name] = port && isPicture(value) ? pictureValue(port, value, direct.includes(name))
      : value;
  }
  return result;
}
