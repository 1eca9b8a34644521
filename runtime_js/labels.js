// What the numbers of an output mean.

// Adds the `count` best of each row to scores, largest first.
export function addBest(output, labels, count) {
  const { data, shape } = output;
  const [length] = shape.slice(-1);
  output.top = [];
  for (let at = 0; at < data.length; at += length) {
    const row = data.subarray(at, at + length);
    const order = [...row.keys()].sort((a, b) => row[b] - row[a]).slice(0, count);
    output.top.push(order.map((index) => ({ label: labels[index], index, value: row[index] })));
  }
}

// Adds what they stand for to indices.
export function addNames(output, labels) {
  output.names = Array.from(output.data, (index) => labels[index]);
}
