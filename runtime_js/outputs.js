// Hands out results.

// A part of `view`, in a new array or in that of an earlier result.
export function copyOut(view, at, size, earlier) {
  if (!earlier || earlier.data.length !== size) return view.slice(at, at + size);
  earlier.data.set(view.subarray(at, at + size));
  return earlier.data;
}
