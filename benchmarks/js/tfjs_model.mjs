// Runs a list of layers with direct TensorFlow.js calls, fused as its converter would fuse them.

function makeTensors(tf, layer, weights) {
  const tensors = {};
  for (const [name, { offset, shape }] of Object.entries(layer.arrays)) {
    const size = shape.reduce((a, b) => a * b, 1);
    tensors[name] = tf.tensor(weights.subarray(offset, offset + size), shape);
  }
  return Object.assign({}, layer, tensors);
}

const dense = (tf, a, b, bias, activation) => tf.fused.matMul({ a, b, bias, activation });

function conv(tf, layer, x) {
  const call = layer.groups > 1 ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
  return call({ x, filter: layer.weight, strides: layer.stride, pad: layer.pad, bias: layer.bias,
    activation: layer.act || 'linear' });
}

function norm(tf, x, gain, bias, eps) {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centred), -1, true);
  return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, eps))), gain), bias);
}

function encoder(tf, l, input) {
  const [time, size] = input.shape.slice(-2), depth = size / l.heads;
  const x = tf.reshape(input, [time, size]);
  const split = (w, b) => tf.transpose(
    tf.reshape(dense(tf, x, w, b), [time, l.heads, depth]), [1, 0, 2]);
  const scores = tf.mul(tf.matMul(split(l.wq, l.bq), split(l.wk, l.bk), false, true),
    1 / Math.sqrt(depth));
  const mixed = tf.matMul(tf.softmax(scores), split(l.wv, l.bv));
  const joined = tf.reshape(tf.transpose(mixed, [1, 0, 2]), [time, size]);
  const y = norm(tf, tf.add(x, dense(tf, joined, l.wo, l.bo)), l.g1, l.b1, l.eps);
  const h = dense(tf, y, l.w1, l.c1);
  const gelu = tf.mul(tf.mul(h, 0.5), tf.add(tf.erf(tf.mul(h, Math.SQRT1_2)), 1));
  const z = norm(tf, tf.add(y, dense(tf, gelu, l.w2, l.c2)), l.g2, l.b2, l.eps);
  return tf.reshape(z, [1, time, size]);
}

function lstm(tf, l, x) {
  const [, time, size] = x.shape;
  const gates = dense(tf, tf.reshape(x, [time, size]), l.w_ih, l.bias);
  let h = tf.zeros([1, l.hidden]), c = tf.zeros([1, l.hidden]);
  for (let t = 0; t < time; t++) {
    const sum = tf.add(tf.slice(gates, [t, 0], [1, 4 * l.hidden]), tf.matMul(h, l.w_hh));
    const [i, f, g, o] = tf.split(sum, 4, 1);
    c = tf.add(tf.mul(tf.sigmoid(f), c), tf.mul(tf.sigmoid(i), tf.tanh(g)));
    h = tf.mul(tf.sigmoid(o), tf.tanh(c));
  }
  return h;
}

const KINDS = {
  dense: (tf, l, x) => dense(tf, x, l.weight, l.bias, l.act || 'linear'),
  conv,
  max_pool: (tf, l, x) => tf.maxPool(x, l.size, l.stride, l.pad),
  mean: (tf, l, x) => tf.mean(x, [1, 2]),
  flatten: (tf, l, x) => tf.reshape(x, [x.shape[0], -1]),
  softmax: (tf, l, x) => tf.softmax(x),
  add: (tf, l, x, y) => (l.act ? tf.relu(tf.add(x, y)) : tf.add(x, y)),
  encoder,
  lstm
};

// A function from the input tensor (channels last) to the output tensor.
export function makeModel(tf, { layers }, weights) {
  const ready = layers.map((layer) => makeTensors(tf, layer, weights));
  return (input) => {
    const values = [];
    for (const layer of ready) {
      const inputs = layer.inputs.map((i) => (i < 0 ? input : values[i]));
      values.push(KINDS[layer.kind](tf, layer, ...inputs));
    }
    return values[values.length - 1];
  };
}

// [N, C, H, W] data as channels-last data and its shape; other ranks as they are.
export function channelsLast(data, shape) {
  if (shape.length !== 4) return { data, shape };
  const [n, channels, height, width] = shape, size = height * width;
  const result = new Float32Array(data.length);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < size; i++) result[i * channels + c] = data[c * size + i];
  }
  return { data: result, shape: [n, height, width, channels] };
}
