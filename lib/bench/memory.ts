/** Memory of this process, in bytes. */
import fs from 'node:fs';

/** The most that was ever resident. */
export function peakMemory(): number {
  // Linux counts in getrusage what the parent had before it started this program; VmHWM does not.
  const status = process.platform === 'linux' ? fs.readFileSync('/proc/self/status', 'utf8') : '';
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(status);
  return (found ? Number(found[1]) : process.resourceUsage().maxRSS) * 1024;
}
