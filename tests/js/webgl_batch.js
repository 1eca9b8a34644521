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

async function programsOf(shaders) {
  const missing = shaders.filter((source) => !known.has(source));
  await webgl.compilePrograms(gl, missing, (made, i) => known.set(missing[i], made));
  return shaders.map((source) => known.get(source));
}

async function runPlan({ shaders, textures, uploads, draws, results }) {
  const programs = await programsOf(shaders);
  const made = textures.map((one) => webgl.createTexture(gl, one));
  for (const [texture, dtype, width, text] of uploads) {
    webgl.uploadTensor(gl, made[texture], decode(text, dtype), width);
  }
  webgl.drawAll(gl, programs, made, draws);
  const outputs = results.map(([texture, size, width]) =>
    encode(webgl.readTensor(gl, made[texture], size, width)));
  const error = gl.getError();
  for (const { texture, frame } of made) {
    gl.deleteTexture(texture);
    gl.deleteFramebuffer(frame);
  }
  return error ? `WebGL error ${error}` : outputs;
}

globalThis.runPlans = async (plans) => {
  const answers = [];
  for (const plan of plans) {
    answers.push(await runPlan(plan).catch((error) => String(error)));
  }
  return answers;
};
