// e = embedding(table, ids)
function e({ f32, i32 }, ids, table, out, batch) {
  for (let n = 0; n < batch; n++) {
    for (let row = 0; row < 16; row++) {
      const tableAt = table + Math.min(Math.max(i32[ids + n * 16 + row] < 0 ? i32[ids + n * 16 + row] + 1000 | 0 : i32[ids + n * 16 + row], 0), 999) * 32;
      const outAt = out + n * 512 + row * 32;
      for (let col = 0; col < 32; col++) {
        f32[outAt + col] = f32[tableAt + col];
      }
    }
  }
}
