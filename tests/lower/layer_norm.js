// n = layer_norm(x, 0.015625, 1e-05, w, b)
function n({ f32 }, x, w, b, out, batch) {
  for (let row = 0; row < batch; row++) {
    let sum_0 = 0;
    const xAt = x + row * 64;
    for (let col = 0; col < 64; col++) {
      sum_0 += f32[xAt + col];
    }
    let sum_1 = 0;
    const xAt1 = x + row * 64;
    for (let col = 0; col < 64; col++) {
      const t0 = f32[xAt1 + col] - sum_0 * 0.015625;
      sum_1 += t0 * t0;
    }
    const xAt2 = x + row * 64;
    const outAt = out + row * 64;
    for (let col = 0; col < 64; col++) {
      f32[outAt + col] = (f32[xAt2 + col] - sum_0 * 0.015625) * 1 / Math.sqrt(sum_1 * 0.015625 + 1e-5) * f32[w + col] + f32[b + col];
    }
  }
}
