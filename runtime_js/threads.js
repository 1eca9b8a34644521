// Threads: workers made from the module's own file take part in every run.

// Opens the module on memory that threads share and starts the others, or says in `skipped` why it
// goes on with one. `plan`: where the import says that memory is shared, the scratch bytes of a
// thread, whether memory may grow, the name and kind of a worker, and the file.
export async function openThreads(hex, size, skipped, wanted, plan) {
  const bytes = bytesOf(hex);
  const initial = Math.ceil(size / 65536);
  const threads = Math.min(wanted, 32);
  if (threads > 1) {
    try {
      return await startTeam(bytes, initial, threads, plan);
    } catch (error) {
      skipped.push({ target: 'threads', reason: String(error.message || error) });
    }
  }
  try {
    bytes[plan.sharedAt] = 1;
    const memory = new WebAssembly.Memory({ initial, maximum: 65536 });
    const compiled = new WebAssembly.Module(bytes);
    const { exports } = new WebAssembly.Instance(compiled, { m: { m: memory } });
    return { memory, exports, threads: 1, workers: [] };
  } catch (error) {
    skipped.push({ target: 'wasm', reason: String(error) });
    return undefined;
  }
}

export async function startTeam(bytes, initial, threads, plan) {
  if (typeof SharedArrayBuffer !== 'function') throw new Error('no SharedArrayBuffer here');
  if (typeof crossOriginIsolated === 'boolean' && !crossOriginIsolated) {
    throw new Error('the page is not crossOriginIsolated');
  }
  if (!plan.url) throw new Error('no file to start workers from: give load({ workerUrl })');
  const maximum = plan.grows ? 65536 : initial;
  const memory = new WebAssembly.Memory({ initial, maximum, shared: true });
  const compiled = new WebAssembly.Module(bytes);
  const { exports } = new WebAssembly.Instance(compiled, { m: { m: memory } });
  // The number of the run, how many have finished it, then its arguments.
  const calls = new Int32Array(new SharedArrayBuffer(4 * exports.run.length));
  const workers = [];
  const team = { memory, exports, threads, calls, workers, mayWait: mayWait(calls) };
  try {
    const starting = [];
    for (let thread = 1; thread < threads; thread++) {
      const worker = await makeWorker(plan);
      workers.push(worker);
      starting.push(workerStarted(worker, { compiled, memory, calls, thread, threads }));
    }
    await Promise.all(starting);
  } catch (error) {
    endThreads(team);
    throw error;
  }
  return team;
}

// Browsers let their main thread not sleep.
export function mayWait(calls) {
  try {
    Atomics.wait(calls, 0, 1, 0);
    return true;
  } catch (error) {
    return false;
  }
}

export async function makeWorker({ url, name, type }) {
  if (typeof Worker === 'function' && typeof location === 'object') {
    return new Worker(url, { name, type });
  }
  const { Worker: NodeWorker } = await nodeModule('worker_threads');
  return new NodeWorker(new URL(url), { argv: [name] });
}

// Hands a worker its work and waits until it is ready.
export function workerStarted(worker, work) {
  return new Promise((resolve, reject) => {
    const on = (event, react) => (worker.on || worker.addEventListener).call(worker, event, react);
    const timer = setTimeout(() => reject(new Error('a worker does not answer')), 10000);
    const fail = (error) => {
      clearTimeout(timer);
      reject(new Error(`a worker failed: ${error.message || error}`));
    };
    on('error', fail);
    on('exit', fail);
    on('message', () => {
      clearTimeout(timer);
      if (worker.unref) worker.unref();
      resolve();
    });
    worker.postMessage(work);
  });
}

// In a worker that this module has started: waits for work. Everywhere else nothing.
export function serveThreads(name) {
  if (typeof process === 'object' && process.argv && process.argv[2] === name) {
    nodeModule('worker_threads').then(({ parentPort: port }) => {
      if (port) port.once('message', (work) => joinTeam(work, () => port.postMessage(0)));
    });
  } else if (typeof self === 'object' && self.name === name) {
    self.onmessage = ({ data }) => joinTeam(data, () => self.postMessage(0));
  }
}

// Takes part in every run; never returns.
export function joinTeam({ compiled, memory, calls, thread, threads }, ready) {
  const { exports } = new WebAssembly.Instance(compiled, { m: { m: memory } });
  ready();
  for (let number = 0; ; number++) {
    while (Atomics.load(calls, 0) === number) Atomics.wait(calls, 0, number);
    exports.run(...calls.slice(2), thread, threads);
    Atomics.add(calls, 1, 1);
    Atomics.notify(calls, 1);
  }
}

// One run, whose last argument is where shared words and scratch memory begin.
export function runThreads({ exports, memory, threads, calls, workers, mayWait }, args, shared) {
  if (!shared || threads < 2) {
    exports.run(...args, 0, 1);
    return;
  }
  const words = new Int32Array(memory.buffer, args[args.length - 1], 32).fill(0);
  words[17] = mayWait;
  calls.set(args, 2);
  calls[1] = 0;
  Atomics.add(calls, 0, 1);
  Atomics.notify(calls, 0);
  exports.run(...args, 0, threads);
  for (let done = 0; done < workers.length; done = Atomics.load(calls, 1)) {
    if (mayWait) Atomics.wait(calls, 1, done);
  }
}

export function endThreads({ workers }) {
  for (const worker of workers.splice(0)) worker.terminate();
}
