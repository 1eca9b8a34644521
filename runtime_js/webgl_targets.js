// Eight render targets where the driver takes them, and four at a time where it does not.

// How many targets there can be at once, and what makes shaders for as many of a shader. WebGL2
// promises four, and Apple's GPUs take no more of float32, whatever their limits say.
export function dealTargets(gl, half) {
  let most = 4;
  if (gl.getParameter(gl.MAX_DRAW_BUFFERS) >= 8) {
    const probe = createTexture(gl, [1, 1, 1, 8], 8, half);
    if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) === gl.FRAMEBUFFER_COMPLETE) most = 8;
    deleteTexture(gl, probe);
  }
  return { most, split: (source) => splitTargets(source, most) };
}

// A shader, or two for the halves of its targets; what one does not give, its compiler leaves out.
export function splitTargets(source, most) {
  const [line, type, count] = /^out (\w+) o\[(\d)\];$/m.exec(source) || [];
  if (!(count > most)) return [source];
  return [0, 4].map((first) => {
    const given = [0, 1, 2, 3].map((k) => `  part[${k}] = o[${first + k}];\n`);
    return source.replace(line, `out ${type} part[4];\n${type} o[${count}];`)
      .replace(/\}\s*$/, `${given.join('')}}`);
  });
}
