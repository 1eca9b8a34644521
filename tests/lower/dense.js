// hidden = maximum(x @ w + b, 0)
function hidden({ f32 }, x, w, b, out, batch) {
  for (let row = 0; row < batch; row++) {
    for (let col = 0; col < 10; col++) {
      let sum = 0;
      const xAt = x + row * 784;
      const wAt = w + col;
      for (let k = 0; k < 784; k++) {
        sum += f32[xAt + k] * f32[wAt + k * 10];
      }
      f32[out + row * 10 + col] = Math.max(sum + f32[b + col], 0);
    }
  }
}
