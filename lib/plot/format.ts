/** Times and text as people read them. */

/** A duration: "0.4 s", "12 s", "3 min 20 s", "1 h 05 min". Negative and non-finite ones are "unknown". */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return 'unknown';
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** A size in memory or on disk: "24 bytes", "1.2 kB", "105 MB". A kB is 1000 bytes. */
export function formatSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`;
  const power = Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${value < 99.95 ? value.toFixed(1) : Math.round(value)} ${['', 'kB', 'MB', 'GB', 'TB'][power]}`;
}

/** A whole number with separators, 26285486 as "26,285,486", and what is counted, if told. */
export function formatCount(value: number, one: string = '', many: string = `${one}s`): string {
  const text = value.toLocaleString('en-US');
  return one === '' ? text : `${text} ${value === 1 ? one : many}`;
}

/** Text made safe inside HTML, attributes included. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
