// node memory.mjs CONFIG.json RESULT.json: the peak memory of this process, in bytes, after some
// calls of the one runtime that CONFIG names, or of none.
import fs from 'node:fs';
import { RUNTIMES } from './runtimes.mjs';

const { stem, shape, runtimes: [name] } = JSON.parse(fs.readFileSync(process.argv[2]));
for (const method of ['log', 'info', 'warn', 'error', 'debug']) console[method] = () => {};
if (name) {
  const x = new Float32Array(new Uint8Array(fs.readFileSync(stem + '.x.bin')).buffer);
  const runner = await RUNTIMES[name](stem, x, shape);
  for (let i = 0; i < 3; i++) await runner.run();
}
// Linux counts mapped files as resident, too: programs on disk, not memory that is used up.
function peakBytes() {
  try {
    const status = fs.readFileSync('/proc/self/status', 'latin1');
    const kilobytes = (key) => Number(new RegExp(key + ':\\s+(\\d+)').exec(status)[1]);
    return 1024 * (kilobytes('VmHWM') - kilobytes('RssFile'));
  } catch (error) {
    return 1024 * process.resourceUsage().maxRSS;
  }
}
fs.writeFileSync(process.argv[3], JSON.stringify({ peak: peakBytes() }));
process.exit(0);
