// State: tensors in the memory of a model that one run leaves for the next.

// The values in the order of `ports`; those of a state may be missing, and are undefined then.
export function orderWithState(ports, given) {
  const names = kindOf(given) === 'Object' ? Object.keys(given) : [];
  const asked = ports.filter(({ name, state }) => !state || names.includes(name));
  const values = orderInputs(asked, given);
  return ports.map((port) => values[asked.indexOf(port)]);
}

// `held`, the sizes of the state, if a run of `sizes` goes on from it, or undefined if that run
// replaces all of it.
export function continueState(names, held, sizes, given) {
  if (!held || String(held) === String(sizes)) return held;
  if (!given.every((value) => value)) {
    throw new TypeError(`the state is that of ${names.join(', ')} = ${held.join(', ')}, ` +
      `here it is ${sizes.join(', ')}: call reset() first, or give the state`);
  }
  return undefined;
}

// Places in memory are [view, at, size].
export function clearPlaces(heap, places) {
  for (const [view, at, size] of places) heap[view].fill(0, at, at + size);
}

export function copyPlaces(heap, places) {
  return places.map(([view, at, size]) => heap[view].slice(at, at + size));
}

export function fillPlaces(heap, places, copies) {
  places.forEach(([view, at], i) => heap[view].set(copies[i], at));
}
