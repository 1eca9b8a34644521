"""WebGL2: kernels as fragment shaders in GLSL ES 3.00."""
