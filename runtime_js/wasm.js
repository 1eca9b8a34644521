// WebAssembly for the kernels: opened at once, and given up without a word where it is refused.

// Hexadecimal keeps bytes apart, so that gzip finds what repeats: a fifth less than base64.
export function bytesOf(hex) {
  if (Uint8Array.fromHex) return Uint8Array.fromHex(hex);
  return Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
}

// The module's exports and memory of `size` bytes, or undefined with the reason in `skipped`.
export function openWasm(hex, size, skipped) {
  try {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(size / 65536) });
    const compiled = new WebAssembly.Module(bytesOf(hex));
    const { exports } = new WebAssembly.Instance(compiled, { m: { m: memory } });
    return { memory, exports };
  } catch (error) {
    skipped.push({ target: 'wasm', reason: String(error) });
    return undefined;
  }
}

// The binary with relaxed SIMD where the engine has it.
export function chooseBinary(relaxed, plain) {
  const known = typeof WebAssembly === 'object' && WebAssembly.validate(bytesOf(relaxed));
  return known ? relaxed : plain;
}

export function growMemory(memory, bytes) {
  memory.grow(Math.ceil((bytes - memory.buffer.byteLength) / 65536));
}
