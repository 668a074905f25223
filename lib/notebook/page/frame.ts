/** What all pages share: the document around the body, and the strip at its top. */
import { themeScript } from './client';
import { pageFontStyle } from './fonts';
import { escapeHtml } from './html';

/** Nothing is loaded from anywhere; what the page needs, it holds. Vega turns expressions into functions. */
const policy = [
  "default-src 'none'",
  'img-src data: blob:',
  'media-src data: blob:',
  'font-src data:',
  "style-src 'unsafe-inline'",
  "script-src 'unsafe-inline' 'unsafe-eval'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

const corners = 'M1.5 5V1.5H5M11 1.5h3.5V5M14.5 11v3.5H11M5 14.5H1.5V11';

/** The four corners of a detection: the project's mark. */
export const markSvg: string = `<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true"><path d="${corners}"/><circle cx="8" cy="8" r="1.6" fill="currentColor" stroke="none"/></svg>`;

const icon =
  'data:image/svg+xml,' +
  encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="#0f8a75" stroke-width="1.8"><path d="${corners}"/><circle cx="8" cy="8" r="1.8" fill="#0f8a75" stroke="none"/></svg>`,
  );

/** The parts of a document. Style and scripts are text that is safe inside their elements. */
export interface DocumentParts {
  title: string;
  description: string;
  style: string;
  body: string;
  scripts: string;
}

export function documentHtml(parts: DocumentParts): string {
  return `<!doctype html>
<html lang="en" class="no-js">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="detlab">
<meta name="description" content="${escapeHtml(parts.description)}">
<title>${escapeHtml(parts.title)}</title>
<link rel="icon" href="${icon}">
<script>${themeScript}</script>
<style>
${pageFontStyle(parts.body)}${parts.style}</style>
</head>
<body>
${parts.body}
${parts.scripts}
</body>
</html>
`;
}

/** The strip at the top: where one is, and what can be switched. `home` is where the list of notebooks is, if there is one. */
export function barHtml(home: string | undefined, tools: string): string {
  const brand = `${markSvg}detlab`;
  const start =
    home === undefined
      ? `<span class="brand">${brand}</span>`
      : `<a class="brand" href="${home}">${brand}</a><a class="optional" href="${home}">All notebooks</a>`;
  return `<a class="skip" href="#main">Skip to the content</a>
<div class="bar">${start}<span class="spread"></span>${tools}<button type="button" class="tool" id="theme">Dark</button></div>`;
}
