// Weights from a file beside the module, read straight into the memory of the model.

// Where the script lies in which `stack` begins: ES2017 has no other way to tell in a module.
export function scriptUrl(stack) {
  const found = /[a-z][a-z+.-]*:\/\/\S*?(?=:\d+:\d+)/.exec(stack);
  return found ? found[0] : '';
}

// Two sums over words and their places: a wrong or damaged file has others. Adds a part to `sums`.
// Called for one part after the other, and in numbers that fit an int32, it is soon compiled well.
export function addWords(words, start, end, sums) {
  let a = sums[0] | 0;
  let b = sums[1] | 0;
  for (let i = start, place = Math.imul(start + 1, -0x61C8864F); i < end; i++) {
    const mixed = Math.imul(words[i] ^ place, -0x7A143595);
    const word = mixed ^ mixed >>> 15;
    place = place - 0x61C8864F | 0;
    a = a + word | 0;
    b = b + Math.imul(word ^ word >>> 13, -0x3D4D51CB) | 0;
  }
  sums[0] = a;
  sums[1] = b;
}

// A function that adds the bytes before `done`, between reads, and tells the sums in 16 digits.
// `native` gives one of them, four words at a time; `bytes` are a multiple of those.
export function hashing(bytes, native) {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const sums = [words.length, 0];
  let known = 0;
  return (done) => {
    const upTo = done >> 4 << 2;
    if (!native) addWords(words, known, upTo, sums);
    else if (upTo > known) {
      const [start, end] = [known, upTo].map((word) => bytes.byteOffset + 4 * word);
      for (const i of [0, 1]) sums[i] = sums[i] + native(start, end, known, i) | 0;
    }
    known = upTo;
    return sums.map((sum) => (sum >>> 0).toString(16).padStart(8, '0')).join('');
  };
}

export async function readFile(url, bytes, report) {
  const fs = await nodeModule('fs');
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

export async function fetchFile(asked, bytes, report) {
  const response = await asked;
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

// Where weights are: `options.weights`, `options.weightsUrl`, or the file beside the script. A file
// that is fetched is asked for at once, so that it comes while kernels are compiled.
export function askForWeights(name, script, options) {
  const { weights, weightsUrl } = options || {};
  const url = weightsUrl ? String(weightsUrl) : script ? new URL(name, script).href : name;
  const local = typeof process === 'object' && process.versions && process.versions.node &&
    !/^(?!file:)[a-z]{2,}:/.test(url);
  const response = weights || local ? undefined : fetch(url);
  if (response) response.catch(() => {}); // `fillWeights` tells
  return { name, url, response };
}

export async function fillWeights({ name, url, response }, bytes, options, wasm) {
  const { weights, onProgress } = options || {};
  const hash = hashing(bytes, wasm && wasm.exports.sums);
  const report = (done) => {
    hash(done);
    if (onProgress) onProgress({ stage: 'weights', done, total: bytes.length });
  };
  try {
    if (weights) copyWeights(weights, bytes);
    else if (response) await fetchFile(response, bytes, report);
    else await readFile(url, bytes, report);
    if (!name.includes(hash(bytes.length))) {
      throw new Error('these are not the weights of this module');
    }
  } catch (error) {
    throw new Error(`no weights from ${weights ? 'load({ weights })' : url}: ${error.message}; ` +
      `put ${name} beside the module, or give load({ weightsUrl }) or load({ weights })`);
  }
}
