// Decodes base64 weights straight into the memory of the model.

// The string literals in the source of `text`, which is never called: so they stay off the heap.
// Where the source is not kept, or was changed, the function is called after all.
export function weightChunks(text, length) {
  const source = String(text);
  const [quote] = /["'`]/.exec(source) || ['\n'];
  const chunks = source.split(quote).filter((part, i) => i % 2);
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0) === length ? chunks : text();
}

export function decodeBase64(chunk, bytes, at) {
  if (bytes.setFromBase64) return bytes.subarray(at).setFromBase64(chunk).written;
  if (typeof Buffer === 'function') {
    return Buffer.from(bytes.buffer).write(chunk, at, 'base64');
  }
  const text = atob(chunk);
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  return text.length;
}

export function decodeWeights(text, length, bytes, start, onProgress) {
  let done = 0;
  for (const chunk of weightChunks(text, length)) {
    done += decodeBase64(chunk, bytes, start + done);
    if (onProgress) onProgress({ stage: 'weights', done, total: length * 3 / 4 });
  }
}
