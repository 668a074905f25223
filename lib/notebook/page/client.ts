/** The page's own script: theme, contents, copying, folding, enlarging. Without it the page is complete, only still. */

/** Runs before the page is painted, so that a chosen theme does not flash in. */
export const themeScript: string = `
document.documentElement.classList.remove('no-js');
try { const t = localStorage.getItem('detlab-theme'); if (t) document.documentElement.dataset.theme = t; } catch {}
`;

/** Runs at the end of every page. */
export const frameScript: string = `
(() => {
  const root = document.documentElement;
  const media = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => root.dataset.theme ? root.dataset.theme === 'dark' : media.matches;
  const button = document.getElementById('theme');
  const announce = () => {
    button.textContent = isDark() ? 'Light' : 'Dark';
    dispatchEvent(new Event('detlab-theme'));
  };
  window.detlabIsDark = isDark;
  button.addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    try { localStorage.setItem('detlab-theme', root.dataset.theme); } catch {}
    announce();
  });
  media.addEventListener('change', announce);
  announce();
})();
`;

/** Runs at the end of a notebook's page. */
export const notebookScript: string = `
(() => {
  const toc = document.querySelector('.toc');
  if (toc) {
    const wide = matchMedia('(min-width: 72rem)');
    const fit = () => { toc.open = wide.matches; };
    wide.addEventListener('change', fit);
    fit();
    toc.addEventListener('click', (e) => { if (e.target.closest('a') && !wide.matches) toc.open = false; });
    const links = new Map([...toc.querySelectorAll('a')].map((a) => [a.hash.slice(1), a]));
    const headings = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
    let current;
    const mark = () => {
      let at = headings[0];
      for (const h of headings) { if (h.getBoundingClientRect().top < innerHeight * 0.3) at = h; else break; }
      const next = at && links.get(at.id);
      if (next === current) return;
      if (current) current.removeAttribute('aria-current');
      current = next;
      if (!current) return;
      current.setAttribute('aria-current', 'true');
      if (wide.matches && toc.scrollHeight > toc.clientHeight) {
        toc.scrollTop = current.offsetTop - toc.clientHeight / 2;
      }
    };
    let waiting = false;
    addEventListener('scroll', () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; mark(); });
    }, { passive: true });
    mark();
  }

  for (const source of document.querySelectorAll('.source')) {
    const pre = source.querySelector('pre');
    const copy = document.createElement('button');
    copy.type = 'button';
    copy.className = 'copy';
    copy.textContent = 'Copy';
    copy.addEventListener('click', async () => {
      let done = true;
      try { await navigator.clipboard.writeText(pre.textContent); } catch {
        const range = document.createRange();
        range.selectNodeContents(pre);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        try { done = document.execCommand('copy'); } catch { done = false; }
      }
      copy.textContent = done ? 'Copied' : 'Selected';
      setTimeout(() => { copy.textContent = 'Copy'; }, 1500);
    });
    source.append(copy);
    const lines = pre.textContent.split('\\n').length;
    if (lines > 32 && !source.closest('.failed')) {
      source.classList.add('folded');
      const more = document.createElement('button');
      more.type = 'button';
      more.className = 'more';
      const label = () => {
        const folded = source.classList.contains('folded');
        more.textContent = folded ? 'Show all ' + lines + ' lines' : 'Show less';
        more.setAttribute('aria-expanded', String(!folded));
      };
      const unfold = () => { source.classList.remove('folded'); label(); };
      more.addEventListener('click', () => { source.classList.toggle('folded'); label(); });
      pre.addEventListener('focus', unfold);
      label();
      source.after(more);
    }
  }

  const hide = document.getElementById('hide-code');
  if (hide) hide.addEventListener('click', () => {
    const hidden = document.body.classList.toggle('no-code');
    hide.textContent = hidden ? 'Show code' : 'Hide code';
    hide.setAttribute('aria-pressed', String(hidden));
  });

  const box = document.getElementById('lightbox');
  for (const img of document.querySelectorAll('.picture > img')) {
    const enlarge = document.createElement('button');
    enlarge.type = 'button';
    enlarge.className = 'zoom';
    enlarge.setAttribute('aria-label', 'Enlarge' + (img.alt ? ': ' + img.alt : ' the picture'));
    img.replaceWith(enlarge);
    enlarge.append(img);
    enlarge.addEventListener('click', () => {
      const large = img.cloneNode();
      large.removeAttribute('loading');
      large.width = Math.max(img.naturalWidth, img.width);
      large.removeAttribute('height');
      box.replaceChildren(large);
      box.showModal();
    });
  }
  if (box) box.addEventListener('click', () => box.close());
})();
`;
