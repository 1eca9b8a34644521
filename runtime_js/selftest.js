// The golden test: inputs from a seed, samples of the outputs that the Python original gave.

// Mulberry32: 32 random bits per step, as numbers in [0, 1).
export function randomNumbers(seed) {
  return () => {
    seed = seed + 0x6D2B79F5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, seed | 1);
    t = t + Math.imul(t ^ t >>> 7, t | 61) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
}

// Inputs by name; `specs` gives [name, shape, low, high, whole] for each.
export function goldenInputs(seed, specs) {
  const random = randomNumbers(seed);
  const values = Object.create(null);
  for (const [name, shape, low, high, whole] of specs) {
    const size = shape.reduce((product, length) => product * length, 1);
    const data = Array.from({ length: size }, () => {
      const value = low + random() * (high - low);
      return whole ? Math.floor(value) : value;
    });
    values[name] = { data, shape };
  }
  return values;
}

// The largest error over the samples [name, stride, values] of each output.
export function compareGolden(results, samples, rtol, atol) {
  let ok = true;
  let maxError = 0;
  for (const [name, stride, values] of samples) {
    values.forEach((value, i) => {
      const got = results[name].data[i * stride];
      const error = Object.is(got, value) ? 0 : Math.abs(got - value);
      ok = ok && (error === 0 || error < Infinity && error <= atol + rtol * Math.abs(value));
      maxError = Math.max(maxError, error);
    });
  }
  return { ok, maxError };
}
