// Pictures go to the textures of inputs without the CPU: uploaded as bytes, dealt out by a draw.

export const pictureShader = `precision highp sampler2D;
uniform sampler2D picture;
uniform int columns;
out ivec4 pixel;
void main() {
  ivec2 size = textureSize(picture, 0);
  ivec2 at = ivec2(gl_FragCoord.xy);
  int number = at.y * columns + at.x;
  pixel = ivec4(texelFetch(picture, ivec2(number % size.x, number / size.x), 0) * 255.0 + 0.5);
}
`;

// What draws pictures in a context: made anew where a context was lost.
export function pictureDrawer(gl) {
  const handle = gl.createProgram();
  const parts = [startShader(gl, gl.VERTEX_SHADER, vertexShader),
    startShader(gl, gl.FRAGMENT_SHADER, shaderHead + pictureShader)];
  parts.forEach((part) => gl.attachShader(handle, part));
  gl.linkProgram(handle);
  parts.forEach((part) => gl.deleteShader(part));
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  return { handle, texture, columns: gl.getUniformLocation(handle, 'columns') };
}

export function drawPicture(gl, { handle, texture, columns }, source, frame, rows, width) {
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, source);
  gl.useProgram(handle);
  gl.uniform1i(columns, width);
  gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
  gl.viewport(0, 0, width, rows);
  gl.drawArrays(gl.TRIANGLES, 0, 3);
}

// Makes `store` take the input of a texture from `sources`, if there is a picture for it.
export function acceptPictures({ gl, store }, sources) {
  const { upload, free } = store;
  let drawer;

  store.upload = (memory, tensor) => {
    const [number, , , size, width] = tensor;
    if (!sources[number]) {
      upload(memory, tensor);
      return;
    }
    try {
      if (!drawer || !gl.isProgram(drawer.handle)) drawer = pictureDrawer(gl);
      drawPicture(gl, drawer, sources[number], store.textures[number].frames[0],
        Math.ceil(size / 4 / width), width);
    } catch (error) {
      throw Object.assign(error, { ofPicture: true });
    }
  };

  return () => {
    if (drawer) {
      gl.deleteProgram(drawer.handle);
      gl.deleteTexture(drawer.texture);
    }
  };
}
