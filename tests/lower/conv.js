// y = conv(x, w)
function y({ f32 }, x, w, out) {
  for (let y = 0; y < 6; y++) {
    for (let x_2 = 0; x_2 < 6; x_2++) {
      for (let c = 0; c < 8; c++) {
        let sum = 0;
        for (let ky = 0; ky < 3; ky++) {
          const xAt = x + ky * 32 + y * 32 + x_2 * 4;
          const wAt = w + ky * 96 + c;
          for (let kc = 0; kc < 12; kc++) {
            sum += f32[xAt + kc] * f32[wAt + kc * 8];
          }
        }
        f32[out + y * 48 + x_2 * 8 + c] = sum;
      }
    }
  }
}
