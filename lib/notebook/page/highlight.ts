/** Code in colour: spans that the page's style sheet paints, made when the page is written. */
import { escapeHtml } from './html';

/** Code as HTML. A language that is not known gives plain text. */
export type HighlightCode = (code: string, language: string) => string;

const aliases: Record<string, string> = {
  ts: 'typescript',
  tsx: 'typescript',
  js: 'javascript',
  mjs: 'javascript',
  cjs: 'javascript',
  sh: 'bash',
  shell: 'bash',
  console: 'bash',
  py: 'python',
  html: 'xml',
};

export async function createHighlighter(): Promise<HighlightCode> {
  const hljs = (await import('highlight.js/lib/core')).default;
  const languages = {
    typescript: await import('highlight.js/lib/languages/typescript'),
    javascript: await import('highlight.js/lib/languages/javascript'),
    json: await import('highlight.js/lib/languages/json'),
    bash: await import('highlight.js/lib/languages/bash'),
    python: await import('highlight.js/lib/languages/python'),
    xml: await import('highlight.js/lib/languages/xml'),
  };
  const instance = hljs.newInstance();
  for (const [name, module] of Object.entries(languages)) instance.registerLanguage(name, module.default);
  return (code, language) => {
    const name = aliases[language.toLowerCase()] ?? language.toLowerCase();
    if (!instance.getLanguage(name)) return escapeHtml(code);
    return instance.highlight(code, { language: name, ignoreIllegals: true }).value;
  };
}
