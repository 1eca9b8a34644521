// Weights from a file beside the module, read straight into the memory of the model.

// Where the script lies in which `stack` begins: ES2017 has no other way to tell in a module.
export function scriptUrl(stack) {
  const found = /[a-z][a-z+.-]*:\/\/\S*?(?=:\d+:\d+)/.exec(stack);
  return found ? found[0] : '';
}

// Two sums over all words and their places, as 16 digits: a wrong or damaged file has others.
export function hashOf(bytes) {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  let a = words.length;
  let b = 0;
  for (let i = 0; i < words.length; i++) {
    const mixed = Math.imul(words[i] ^ Math.imul(i + 1, 0x9E3779B1), 0x85EBCA6B);
    const word = mixed ^ mixed >>> 15;
    a = a + word | 0;
    b = b + Math.imul(word ^ word >>> 13, 0xC2B2AE35) | 0;
  }
  return [a, b].map((sum) => (sum >>> 0).toString(16).padStart(8, '0')).join('');
}

export async function readFile(url, bytes, report) {
  const name = 'fs';
  const fs = await import(name);
  const file = fs.openSync(url.startsWith('file:') ? new URL(url) : url);
  try {
    let done = 0;
    while (done < bytes.length) {
      const count = fs.readSync(file, bytes, done, Math.min(bytes.length - done, 1 << 20), null);
      if (!count) throw new Error(`it ends after ${done} of ${bytes.length} bytes`);
      report(done += count);
    }
  } finally {
    fs.closeSync(file);
  }
}

// Reads the parts of a body one by one, into the same space again and again where that is possible.
export function partsOf(body) {
  try {
    const reader = body.getReader({ mode: 'byob' });
    let space = new ArrayBuffer(1 << 18);
    return async () => {
      const part = await reader.read(new Uint8Array(space));
      if (part.value) space = part.value.buffer;
      return part;
    };
  } catch (error) {
    const reader = body.getReader();
    return () => reader.read();
  }
}

export async function fetchFile(url, bytes, report) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`status ${response.status}`);
  const read = partsOf(response.body);
  let done = 0;
  for (let part = await read(); !part.done; part = await read()) {
    if (done + part.value.length > bytes.length) throw new Error(`more than ${bytes.length} bytes`);
    bytes.set(part.value, done);
    report(done += part.value.length);
  }
  if (done < bytes.length) throw new Error(`it ends after ${done} of ${bytes.length} bytes`);
}

export function copyWeights(weights, bytes) {
  const given = new Uint8Array(weights.buffer || weights, weights.byteOffset, weights.byteLength);
  if (given.length !== bytes.length) {
    throw new Error(`${given.length} bytes instead of ${bytes.length}`);
  }
  bytes.set(given);
}

// Fills `bytes` from `options.weights`, `options.weightsUrl`, or the file beside the script.
export async function fillWeights(name, script, bytes, options) {
  const { weights, weightsUrl, onProgress } = options || {};
  const url = weightsUrl ? String(weightsUrl) : script ? new URL(name, script).href : name;
  const local = typeof process === 'object' && process.versions && process.versions.node &&
    !/^(?!file:)[a-z]{2,}:/.test(url);
  const report = (done) => {
    if (onProgress) onProgress({ stage: 'weights', done, total: bytes.length });
  };
  try {
    if (weights) copyWeights(weights, bytes);
    else await (local ? readFile : fetchFile)(url, bytes, report);
    if (!name.includes(hashOf(bytes))) throw new Error('these are not the weights of this module');
  } catch (error) {
    throw new Error(`no weights from ${weights ? 'load({ weights })' : url}: ${error.message}; ` +
      `put ${name} beside the module, or give load({ weightsUrl }) or load({ weights })`);
  }
}
