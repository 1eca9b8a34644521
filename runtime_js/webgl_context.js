// The surface that a context belongs to, and contexts that are lost and come back.

// Waits until a context is lost, or no longer so.
export async function awaitLoss(gl, lost, most) {
  for (let tries = 0; gl.isContextLost() !== lost && tries < most; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// Waits for a lost context to come back.
export async function awaitContext(gl, half) {
  await awaitLoss(gl, false, 250);
  if (gl.isContextLost()) throw new Error(contextLost);
  rendersFloats(gl, half);
  while (gl.getError()); // those of draws with what was lost
}

export function createSurface() {
  return typeof OffscreenCanvas === 'function'
    ? new OffscreenCanvas(1, 1) : document.createElement('canvas');
}

// Counts how often the context is lost, as it may come back before a run looks; `stop` ends that,
// and loses it for good if it is given what does.
export function watchContext(surface) {
  const watch = { losses: 0, stop };
  function lost(event) {
    event.preventDefault();
    watch.losses++;
  }

  function stop(context) {
    surface.removeEventListener('webglcontextlost', lost);
    if (context) context.loseContext();
  }

  surface.addEventListener('webglcontextlost', lost);
  return watch;
}
