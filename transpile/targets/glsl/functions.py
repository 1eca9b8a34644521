"""Functions that a shader defines for itself.

They stand where drivers are worse than 1e-5 or differ from NumPy: SwiftShader's sin and cos are off
by 1.9e-4, its `max(NaN, 0)` is 0 and its `exp(NaN)` infinite, and `pow` of a negative number is
undefined. Polynomials: Cephes (Moshier) for sin, cos and atan, Taylor's series elsewhere; all are
within 1e-6 relative.
"""

from __future__ import annotations

import re

FUNCTIONS: dict[str, str] = {
    "maxNaN": """T maxNaN(T a, T b) {
  return a > b || isnan(a) ? a : b;
}""",
    "minNaN": """T minNaN(T a, T b) {
  return a < b || isnan(a) ? a : b;
}""",
    "atLeast": """T atLeast(T a, T b) {
  // a where it is NaN.
  return b > a ? b : a;
}""",
    "atMost": """T atMost(T a, T b) {
  return b < a ? b : a;
}""",
    "copySign": """T copySign(T a, T b) {
  return intBitsToFloat(floatBitsToInt(a) & 0x7fffffff | floatBitsToInt(b) & (-2147483647 - 1));
}""",
    "sign_": """T sign_(T x) {
  return isnan(x) ? x : sign(x);
}""",
    "exp_": """T exp_(T x) {
  return isnan(x) ? x : exp(x);
}""",
    "log_": """T log_(T x) {
  if (x > 0.0) return isinf(x) ? x : log(x);
  return x == 0.0 ? intBitsToFloat(-8388608) : intBitsToFloat(0x7fc00000);
}""",
    "expm1_": """T expm1_(T x) {
  // Taylor's series near 0, where exp(x) - 1 cancels.
  return abs(x) < 0.3
    ? x * (1.0 + x * (0.5 + x * (0.16666667 + x * (0.041666668 + x * (0.0083333338
      + x * (0.0013888889 + x * 0.00019841270))))))
    : exp_(x) - 1.0;
}""",
    "log1p_": """T log1p_(T x) {
  // 2 atanh(s), s = x / (2 + x), near 0.
  float s = x / (2.0 + x), q = s * s;
  return abs(x) < 0.4
    ? 2.0 * s * (1.0 + q * (0.33333334 + q * (0.2 + q * (0.14285715 + q * 0.11111111))))
    : log(1.0 + x);
}""",
    "reduced": """T reduced(T x, T k) {
  // x - k pi/2 in three parts (Cody and Waite).
  return ((x - k * 1.5703125) - k * 4.837512969970703e-4) - k * 7.549790126404332e-8;
}""",
    "wave_": """T wave_(T x, int quarters) {
  // The sine of x + quarters pi/2.
  if (isinf(x)) return x - x;
  float k = floor(x * 0.63661977 + 0.5), r = reduced(x, k), q = r * r;
  float s = r + r * q * (-0.16666655 + q * (0.0083321609 - q * 1.9515296e-4));
  float c = 1.0 - 0.5 * q + q * q * (0.041666646 + q * (-0.0013887316 + q * 2.4433157e-5));
  int n = int(k) + quarters & 3;
  float v = (n & 1) == 0 ? s : c;
  return n > 1 ? -v : v;
}""",
    "sin_": """T sin_(T x) {
  return wave_(x, 0);
}""",
    "cos_": """T cos_(T x) {
  return wave_(x, 1);
}""",
    "tan_": """T tan_(T x) {
  return sin_(x) / cos_(x);
}""",
    "atan_": """T atan_(T x) {
  // Cephes' atanf: three ranges, then a polynomial.
  float a = abs(x), base = 0.0;
  if (a > 2.4142135) {
    base = 1.5707963;
    a = -1.0 / a;
  } else if (a > 0.41421357) {
    base = 0.78539819;
    a = (a - 1.0) / (a + 1.0);
  }
  float q = a * a;
  float y = base + a + a * q * (-0.33332950 + q * (0.19977711 + q * (-0.13877685
    + q * 0.080537445)));
  return isnan(x) ? x : x < 0.0 ? -y : y;
}""",
    "atan2_": """T atan2_(T y, T x) {
  if (x == 0.0 && y == 0.0) return 0.0;
  if (isinf(x) && isinf(y)) {
    x = sign(x);
    y = sign(y);
  }
  float a = atan_(y / x);
  return x >= 0.0 || isnan(a) ? a : y < 0.0 ? a - 3.1415927 : a + 3.1415927;
}""",
    "asin_": """T asin_(T x) {
  return atan2_(x, sqrt((1.0 - x) * (1.0 + x)));
}""",
    "acos_": """T acos_(T x) {
  return atan2_(sqrt((1.0 - x) * (1.0 + x)), x);
}""",
    "sinh_": """T sinh_(T x) {
  float e = expm1_(abs(x)), y = abs(x) > 80.0 ? 0.5 * exp(abs(x)) : 0.5 * (e + e / (e + 1.0));
  return x < 0.0 ? -y : y;
}""",
    "cosh_": """T cosh_(T x) {
  return 0.5 * (exp(x) + exp(-x));
}""",
    "tanh_": """T tanh_(T x) {
  float e = expm1_(-2.0 * min(abs(x), 20.0)), y = -e / (e + 2.0);
  return isnan(x) ? x : x < 0.0 ? -y : y;
}""",
    "asinh_": """T asinh_(T x) {
  float a = abs(x);
  float y = a > 1e9 ? log(a) + 0.69314718 : log1p_(a + a * a / (1.0 + sqrt(a * a + 1.0)));
  return x < 0.0 ? -y : y;
}""",
    "acosh_": """T acosh_(T x) {
  float t = x - 1.0;
  return x > 1e9 ? log(x) + 0.69314718 : log1p_(t + sqrt(t * (t + 2.0)));
}""",
    "atanh_": """T atanh_(T x) {
  return 0.5 * log1p_(2.0 * x / (1.0 - x));
}""",
    "pow_": """T pow_(T x, T y) {
  if (y == 0.0 || x == 1.0) return 1.0;
  if (y == 1.0) return x;
  if (y == 2.0) return x * x;
  if (x == 0.0) return y > 0.0 ? 0.0 : 1.0 / abs(x);
  float p = exp_(y * log(abs(x)));
  if (x > 0.0) return p;
  float h = y * 0.5;
  if (y != floor(y)) return log(x);
  return h == floor(h) ? p : -p;
}""",
    "fmod_": """T fmod_(T a, T b) {
  return a - b * trunc(a / b);
}""",
    "idiv": """I idiv(I a, I b) {
  if (b == 0) return 0;
  if (b == -1) return -a;
  int q = a / b;
  return a % b != 0 && (a ^ b) < 0 ? q - 1 : q;
}""",
    "irem": """I irem(I a, I b) {
  return b == 0 || b == -1 ? 0 : a - a / b * b;
}""",
    "ipow": """I ipow(I a, I n) {
  int p = 1;
  for (; n > 0; n >>= 1) {
    if ((n & 1) == 1) p *= a;
    a *= a;
  }
  return p;
}""",
    "shiftLeft": """I shiftLeft(I a, I n) {
  return n > 31 ? 0 : a << n;
}""",
    "shiftRight": """I shiftRight(I a, I n) {
  return a >> min(n, 31);
}""",
    "both": """B both(B a, B b) {
  // && is a branch in some drivers.
  return all(bvec2(a, b));
}""",
    "either": """B either(B a, B b) {
  return any(bvec2(a, b));
}""",
    "pick": """P pick(bool c, P a, P b) {
  return c ? a : b;
}""",
    "quotient": """int quotient(int a, int b) {
  // Integers divide far slower than floats.
  return int((float(a) + 0.5) / float(b));
}""",
    "remainder": """int remainder(int a, int b) {
  return a - quotient(a, b) * b;
}""",
    "dealt": """vec4 dealt(sampler2DArray a, int x, int row, int bits) {
  return texelFetch(a, ivec3(x, row >> bits, row & (1 << bits) - 1), 0);
}""",
    "dealtI": """ivec4 dealtI(isampler2DArray a, int x, int row, int bits) {
  return texelFetch(a, ivec3(x, row >> bits, row & (1 << bits) - 1), 0);
}""",
    "floorDiv": """int floorDiv(int a, int b) {
  int q = a / b;
  return a - q * b < 0 ? q - 1 : q;
}""",
    "floorMod": """int floorMod(int a, int b) {
  int r = a % b;
  return r < 0 ? r + b : r;
}""",
}
"""Definitions by name, for one lane: `T`, `I`, `B` stand for float, int, bool."""

SCALAR = {"T": "float", "I": "int", "B": "bool"}
VECTOR = {"T": "vec4", "I": "ivec4", "B": "bvec4"}

NATIVE_VECTOR: dict[str, str] = {
    "both": """bvec4 both(bvec4 a, bvec4 b) {
  return bvec4(ivec4(a) & ivec4(b));
}""",
    "either": """bvec4 either(bvec4 a, bvec4 b) {
  return bvec4(ivec4(a) | ivec4(b));
}""",
    "maxNaN": """vec4 maxNaN(vec4 a, vec4 b) {
  return mix(mix(b, a, greaterThan(a, b)), a, isnan(a));
}""",
    "exp_": """vec4 exp_(vec4 x) {
  return mix(exp(x), x, isnan(x));
}""",
    "atLeast": """vec4 atLeast(vec4 a, vec4 b) {
  // a where it is NaN.
  return mix(a, b, greaterThan(b, a));
}""",
    "atMost": """vec4 atMost(vec4 a, vec4 b) {
  return mix(a, b, lessThan(b, a));
}""",
    "minNaN": """vec4 minNaN(vec4 a, vec4 b) {
  return mix(mix(b, a, lessThan(a, b)), a, isnan(a));
}""",
}
"""Vector overloads that are better than lane by lane."""

INDEX_FUNCTIONS = ("floorDiv", "floorMod", "quotient", "remainder", "dealt", "dealtI")


def definition(name: str, vector: bool) -> str:
    """A function of `FUNCTIONS` for scalars or for vectors, lane by lane."""
    if name in ("pickB", "pickI"):
        kind = "bvec4" if name == "pickB" else "ivec4"
        lanes = ", ".join(f"c.{k} ? a.{k} : b.{k}" for k in "xyzw")
        return f"{kind} {name}(bvec4 c, {kind} a, {kind} b) {{\n  return {kind}({lanes});\n}}"
    text = FUNCTIONS[name]
    kinds = VECTOR if vector else SCALAR
    if not vector or name in INDEX_FUNCTIONS:
        return re.sub(r"\b[TIB]\b", lambda m: kinds[m[0]], text)
    if name in NATIVE_VECTOR:
        return NATIVE_VECTOR[name]
    head = re.sub(r"\b[TIB]\b", lambda m: kinds[m[0]], text.split("{")[0])
    kind, parameters = head.split()[0], re.findall(r"(\w+)[,)]", head)
    lanes = ", ".join(f"{name}({', '.join(f'{p}.{k}' for p in parameters)})" for k in "xyzw")
    return f"{head}{{\n  return {kind}({lanes});\n}}"
