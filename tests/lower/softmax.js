// p = softmax(x)
function p({ f32 }, x, out, batch) {
  for (let row = 0; row < batch; row++) {
    let max = -Infinity;
    const xAt = x + row * 10;
    for (let col = 0; col < 10; col++) {
      max = Math.max(max, f32[xAt + col]);
    }
    let sum = 0;
    const xAt1 = x + row * 10;
    const outAt = out + row * 10;
    for (let col = 0; col < 10; col++) {
      const kept = Math.exp(f32[xAt1 + col] - max);
      f32[outAt + col] = kept;
      sum += kept;
    }
    const outAt1 = out + row * 10;
    for (let col = 0; col < 10; col++) {
      f32[outAt1 + col] = f32[outAt1 + col] / sum;
    }
  }
}
