// Runs plans one after the other in one context; shaders with the same text are compiled once.
import * as webgl from './webgl.js';

const gl = webgl.createContext(document.createElement('canvas'));
const known = new Map();
const kinds = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array, bool: Uint8Array };

function decode(text, dtype) {
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  return new kinds[dtype](bytes.buffer);
}

function encode(view) {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}

async function programsOf(shaders, most) {
  const missing = shaders.filter((source) => !known.has(most + source));
  await webgl.compilePrograms(gl, missing, (source) => webgl.splitTargets(source, most),
    (made, i) => known.set(most + missing[i], made));
  return shaders.map((source) => known.get(most + source));
}

async function runPlan({ shaders, textures, uploads, draws, results }, most) {
  const programs = await programsOf(shaders, most);
  const made = textures.map((one) => webgl.createTexture(gl, one, most));
  for (const [texture, dtype, width, text] of uploads) {
    webgl.uploadTensor(gl, made[texture], decode(text, dtype), width);
  }
  webgl.drawAll(gl, programs, made, draws);
  const outputs = results.map(([texture, size, width]) =>
    encode(webgl.readTensor(gl, made[texture], size, width)));
  const error = gl.getError();
  made.forEach((one) => webgl.deleteTexture(gl, one));
  return error ? `WebGL error ${error}` : outputs;
}

// With at most so many render targets at once.
globalThis.runPlans = async (plans, most) => {
  const answers = [];
  for (const plan of plans) {
    answers.push(await runPlan(plan, most).catch((error) => String(error)));
  }
  return answers;
};
