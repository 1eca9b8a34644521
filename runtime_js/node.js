// What a module takes from Node.

// The name comes as an argument, so that bundlers for browsers neither look for it nor warn.
export function nodeModule(name) {
  return import(/* webpackIgnore: true */ /* @vite-ignore */ name);
}
