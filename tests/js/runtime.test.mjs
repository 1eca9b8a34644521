// The runtime's own functions, apart from any model: node --test tests/js
import assert from 'node:assert';
import test from 'node:test';
import { bool, float32, int32, orderInputs, readInput, uint8, unpack }
  from '../../runtime_js/inputs.js';
import { copyOut } from '../../runtime_js/outputs.js';
import { gpuClock, median, timeCall } from '../../runtime_js/page/measure.js';
import { compareGolden, goldenInputs } from '../../runtime_js/selftest.js';
import { decodeBase64, weightChunks } from '../../runtime_js/weights.js';

const fixed = { name: 'x', dtype: 'float32', shape: [2, 3] };
const named = { name: 'x', dtype: 'float32', shape: ['n', 3] };

test('the shape of a value comes with it, from its nesting, or from the input', () => {
  const cases = [
    [fixed, [[1, 2, 3], [4, 5, 6]], [2, 3]], [fixed, new Float32Array(6), [2, 3]],
    [named, new Float32Array(12), [4, 3]], [named, new Float32Array(7), [2, 3]],
    [named, [[1, 2, 3]], [1, 3]], [named, { data: [], shape: [0, 3] }, [0, 3]],
    [fixed, { data: [1], shape: new Int32Array([6, 1]) }, [6, 1]], [fixed, 5, [2, 3]],
    [{ name: 's', dtype: 'float32', shape: [] }, 5, []], [fixed, null, [2, 3]]
  ];
  for (const [port, value, shape] of cases) assert.deepStrictEqual(unpack(port, value).shape, shape);
});

test('inputs come in the order of the ports', () => {
  const ports = [fixed, { name: 'b', dtype: 'float32', shape: [1] }];
  const [x, b] = orderInputs(ports, { b: [7], x: new Float32Array(6) });
  assert.strictEqual(b.data[0], 7);
  assert.strictEqual(x.data.length, 6);
  assert.throws(() => orderInputs(ports, { x: 1 }), /expected the inputs \{x, b\}, got \{x\}/);
  assert.deepStrictEqual(orderInputs([], {}), []);
  const scalar = { name: 's', dtype: 'float32', shape: [] };
  for (const given of [0, { s: 0 }, { data: 0, shape: [] }, { s: { data: [0], shape: [] } }]) {
    assert.deepStrictEqual(orderInputs([scalar], given)[0].shape, []);
  }
});

test('reading writes nothing outside its place', () => {
  const view = new Float32Array(10).fill(-1);
  readInput(fixed, unpack(fixed, [[1, 2, 3], [4, 5, 6]]), float32, view, 2, [2, 3]);
  assert.deepStrictEqual(Array.from(view), [-1, -1, 1, 2, 3, 4, 5, 6, -1, -1]);
  const ragged = [[1, 2, 3], [4, 5, 6, 7, 8, 9, 10]];
  assert.throws(() => readInput(fixed, unpack(fixed, ragged), float32, view, 2, [2, 3]), TypeError);
  assert.deepStrictEqual(Array.from(view.subarray(8)), [-1, -1]);
});

test('single values of each dtype', () => {
  const taken = (type, values) => values.map((value) => type.value(value));
  assert.deepStrictEqual(taken(int32, [1, -2147483648, 2147483648, 0.5, '1', null, true]),
    [true, true, false, false, false, false, false]);
  assert.deepStrictEqual(taken(uint8, [0, 255, 256, -1]), [true, true, false, false]);
  assert.deepStrictEqual(taken(bool, [true, false, 0, 1, 2, 'a']),
    [true, true, true, true, false, false]);
  assert.deepStrictEqual(taken(float32, [NaN, 1.5, '1']), [true, true, false]);
});

test('results are copied out', () => {
  const view = new Float32Array([1, 2, 3]);
  const first = copyOut(view, 1, 2);
  assert.deepStrictEqual(Array.from(first), [2, 3]);
  view[1] = 9;
  assert.strictEqual(copyOut(view, 1, 2, { data: first }), first);
  assert.strictEqual(first[0], 9);
  assert.notStrictEqual(copyOut(view, 0, 3, { data: first }), first);
});

test('chunks are read from the source, whatever quotes it has', () => {
  const texts = ['AAAA', 'BBBB'];
  const functions = [() => ['AAAA', 'BBBB'], () => ["AAAA", "BBBB"], () => [`AAAA`, `BBBB`]];
  for (const text of functions) assert.deepStrictEqual(weightChunks(text, 8), texts);
  assert.deepStrictEqual(weightChunks((() => texts).bind(null), 8), texts);
});

test('every decoder gives the same bytes', () => {
  const expected = Array.from({ length: 300 }, (_, i) => i * 7 % 256);
  const chunk = Buffer.from(expected).toString('base64');
  const { Buffer: kept } = globalThis;
  for (const setUp of [() => {}, () => { globalThis.Buffer = undefined; }]) {
    setUp();
    const bytes = new Uint8Array(310);
    const written = decodeBase64(chunk, bytes, 5);
    globalThis.Buffer = kept;
    assert.strictEqual(written, 300);
    assert.deepStrictEqual(Array.from(bytes.subarray(5, 305)), expected);
  }
});

test('the golden test sees differences, NaN and infinities', () => {
  const results = { y: { data: new Float32Array([1, NaN, Infinity, 2]) } };
  const check = (values, stride = 1) => compareGolden(results, [['y', stride, values]], 0.01, 0);
  assert.deepStrictEqual(check([1, NaN, Infinity, 2]), { ok: true, maxError: 0 });
  assert.deepStrictEqual(check([1, Infinity], 2), { ok: true, maxError: 0 });
  assert.deepStrictEqual(check([1.25]), { ok: false, maxError: 0.25 });
  assert.strictEqual(check([1, 1]).ok, false);
  assert.strictEqual(check([1, NaN, -Infinity]).ok, false);
});

test('golden inputs stay in their range', () => {
  const { x, i } = goldenInputs(3, [['x', [50], -2, 3], ['i', [50], 4, 9, true]]);
  assert.ok(x.data.every((value) => value >= -2 && value < 3));
  assert.deepStrictEqual([...new Set(i.data)].sort(), [4, 5, 6, 7, 8]);
});

test('a call is repeated until the clock can tell how long it takes', async () => {
  for (const cost of [0.001, 0.3, 40]) {
    const counts = [];
    const clock = async (run, count) => {
      counts.push(count);
      return Math.floor(cost * count * 10) / 10;  // a tenth of a millisecond is the least it sees
    };
    const time = await timeCall(clock, () => {}, 3);
    assert.ok(Math.abs(time / cost - 1) < 0.1, `${time} instead of ${cost}`);
    assert.ok(cost < 1 || Math.max(...counts) === 1);
  }
  assert.deepStrictEqual([median([3, 1, 2]), median([4, 1, 2, 3])], [2, 2.5]);
});

test('draws are timed by the timer of the GPU, else by the wall clock', async () => {
  let disjoint = false;
  let drawn = 0;
  const gl = new Proxy({
    getExtension: () => ({ TIME_ELAPSED_EXT: 1, GPU_DISJOINT_EXT: 2 }),
    getQueryParameter: (query, name) => name === 'available' || 3e6,
    QUERY_RESULT_AVAILABLE: 'available',
    QUERY_RESULT: 'result',
    getParameter: () => disjoint
  }, { get: (known, name) => name in known ? known[name] : () => {} });
  const clock = gpuClock(gl);
  assert.strictEqual(await clock.queried(() => { drawn++; }, 4), 3);
  disjoint = true;
  assert.notStrictEqual(await clock.queried(() => { drawn++; }, 4), 3);
  assert.strictEqual(drawn, 12);
});
