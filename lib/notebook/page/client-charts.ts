/** The page's script for charts: draws each when it comes near the screen, and again for another theme or width. */

/** Runs after {@link notebookScript} on a page with charts; Vega's text stands in `#vega-source`, not yet evaluated. */
export const chartScript: string = `
(() => {
  const narrow = matchMedia('(max-width: 40rem)');
  const tip = document.getElementById('tip');
  const drawn = new Map();
  let vega;

  // Parsing half a megabyte is left until the first chart is near.
  const load = () => {
    if (!vega) {
      const script = document.createElement('script');
      script.textContent = document.getElementById('vega-source').textContent;
      document.head.append(script);
      vega = window.vega;
    }
    return vega;
  };

  // In the dark, greys of axes and titles change places; what is drawn keeps its colours, but nothing stays near black.
  const named = { black: '#000000', white: '#ffffff', gray: '#808080', grey: '#808080', lightgray: '#d3d3d3', darkgray: '#a9a9a9' };
  const inverted = (value, brightest) => {
    if (typeof value !== 'string') return value;
    let text = named[value] || value;
    if (/^#[0-9a-f]{3}$/i.test(text)) text = '#' + [...text.slice(1)].map((c) => c + c).join('');
    if (!/^#[0-9a-f]{6}$/i.test(text)) return value;
    const rgb = [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
    if (Math.max(...rgb) - Math.min(...rgb) > 24 || Math.max(...rgb) > brightest) return value;
    return '#' + rgb.map((v) => Math.round(232 - v * 0.82).toString(16).padStart(2, '0')).join('');
  };
  const walk = (node) => {
    if (Array.isArray(node)) return node.map(walk);
    if (!node || typeof node !== 'object') return inverted(node, 255);
    return Object.fromEntries(Object.entries(node).map(([key, item]) => [key, walk(item)]));
  };
  const darkened = (node) => {
    const out = { ...node };
    for (const key of ['axes', 'legends', 'title', 'config']) if (out[key]) out[key] = walk(out[key]);
    if (out.scales) out.scales = out.scales.map((s) => s.type === 'ordinal' && Array.isArray(s.range) ? { ...s, range: s.range.map((c) => inverted(c, 110)) } : s);
    if (out.marks) out.marks = out.marks.map(darkened);
    if (out.encode) out.encode = Object.fromEntries(Object.entries(out.encode).map(([set, channels]) => {
      const changed = { ...channels };
      for (const key of ['fill', 'stroke']) {
        if (changed[key] && changed[key].value) changed[key] = { ...changed[key], value: inverted(changed[key].value, 110) };
      }
      return [set, changed];
    }));
    return out;
  };
  const defaults = (dark) => {
    const ink = dark ? '#e4e6e8' : '#1c2024', soft = dark ? '#9ba4ad' : '#59616a', line = dark ? '#2a2f35' : '#e3e3dd';
    const font = getComputedStyle(document.body).fontFamily;
    return {
      background: 'transparent',
      text: { font },
      axis: { labelFont: font, titleFont: font, labelColor: soft, titleColor: ink, gridColor: line, domainColor: soft, tickColor: soft },
      legend: { labelFont: font, titleFont: font, labelColor: ink, titleColor: soft },
      title: { font, subtitleFont: font, color: ink, subtitleColor: soft },
      style: { 'guide-label': { font, fill: soft }, 'guide-title': { font, fill: ink }, 'group-title': { font, fill: ink }, 'group-subtitle': { font, fill: soft }, cell: { stroke: line } },
    };
  };
  const fill = (node, pool) => {
    for (const source of node.data || []) {
      if (source.values && source.values.$pool !== undefined) source.values = structuredClone(pool[source.values.$pool]);
    }
    return node;
  };

  const text = (v) => v === null ? 'none' : typeof v === 'number' && !Number.isInteger(v) ? String(Number(v.toPrecision(5))) : typeof v === 'object' ? JSON.stringify(v) : String(v);
  const tooltip = (handler, event, item, value) => {
    if (value === null || value === undefined || value === '') { tip.hidden = true; return; }
    tip.replaceChildren();
    if (typeof value === 'object' && !Array.isArray(value)) {
      const table = tip.appendChild(document.createElement('table'));
      const { title, ...rows } = value;
      if (title) table.createCaption().textContent = text(title);
      for (const key in rows) {
        const row = table.insertRow();
        row.insertCell().textContent = key;
        row.insertCell().textContent = text(rows[key]);
      }
    } else tip.textContent = text(value);
    tip.hidden = false;
    const point = event.changedTouches ? event.changedTouches[0] : event;
    const { width, height } = tip.getBoundingClientRect();
    const x = point.clientX + 14 + width > innerWidth - 8 ? point.clientX - 14 - width : point.clientX + 14;
    const y = point.clientY + 14 + height > innerHeight - 8 ? point.clientY - 14 - height : point.clientY + 14;
    tip.style.left = Math.max(8, x) + 'px';
    tip.style.top = Math.max(8, y) + 'px';
  };

  const noLoading = { load: () => Promise.reject(new Error('this page loads nothing')), sanitize: (uri) => /^(data:|#)/.test(uri) ? Promise.resolve({ href: uri }) : Promise.reject(new Error('this page loads nothing')), http: null, file: null };

  const draw = async (figure) => {
    const turn = {};
    const before = drawn.get(figure);
    drawn.set(figure, turn);
    const v = load();
    const still = figure.querySelector('.chart-still');
    const live = figure.querySelector('.chart-live');
    const { wide, narrow: small, pool } = JSON.parse(figure.querySelector('script').textContent);
    const dark = window.detlabIsDark();
    let spec = narrow.matches && small ? small : wide;
    if (dark) spec = darkened(spec);
    spec = fill(spec, pool);
    const holder = document.createElement('div');
    try {
      live.hidden = false;
      if (before) holder.style.cssText = 'position:absolute;inset:0;visibility:hidden';
      live.append(holder);
      const view = new v.View(v.parse(spec, defaults(dark)), { renderer: 'svg', loader: noLoading, hover: false });
      view.logLevel(v.Error).tooltip(tooltip).initialize(holder);
      await view.runAsync();
      if (drawn.get(figure) !== turn) { view.finalize(); holder.remove(); return; }
      turn.view = view;
      if (before && before.view) before.view.finalize();
      for (const other of [...live.children]) if (other !== holder) other.remove();
      holder.style.cssText = '';
      still.hidden = true;
    } catch (error) {
      // The picture is still there; the reason is for whoever opens the console.
      holder.remove();
      live.hidden = live.childElementCount === 0;
      console.error(figure.id + ': ' + error.message);
    }
  };

  // A tap stands for the pointer that a phone does not have.
  addEventListener('pointerdown', () => { tip.hidden = true; });
  addEventListener('click', (event) => {
    if (matchMedia('(hover: hover)').matches || !event.target.closest('.chart-live')) return;
    const { clientX, clientY } = event;
    event.target.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, clientX, clientY, view: window }));
  });

  const figures = [...document.querySelectorAll('.chart')];
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      draw(target);
    }
  }, { rootMargin: '600px 0px' });
  for (const figure of figures) seen.observe(figure);
  const again = () => {
    tip.hidden = true;
    for (const figure of figures) if (drawn.has(figure)) draw(figure);
  };
  addEventListener('detlab-theme', again);
  narrow.addEventListener('change', again);
  addEventListener('scroll', () => { tip.hidden = true; }, { passive: true });
})();
`;
