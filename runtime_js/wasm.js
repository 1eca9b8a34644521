// WebAssembly for the kernels: opened at once, and given up without a word where it is refused.

export function bytesOf(base64) {
  const bytes = new Uint8Array(base64.length);
  return bytes.slice(0, decodeBase64(base64, bytes, 0));
}

// The module's exports and memory of `size` bytes, or undefined with the reason in `skipped`.
export function openWasm(base64, size, skipped) {
  try {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(size / 65536) });
    const compiled = new WebAssembly.Module(bytesOf(base64));
    const { exports } = new WebAssembly.Instance(compiled, { m: { m: memory } });
    return { memory, exports };
  } catch (error) {
    skipped.push({ target: 'wasm', reason: String(error) });
    return undefined;
  }
}

export function growMemory(memory, bytes) {
  memory.grow(Math.ceil((bytes - memory.buffer.byteLength) / 65536));
}
