/** The pages' frame: colours, type, header, contents, cards. What stands in the cells is painted by style-content.ts. */

/** Light and dark colours; text on its ground has a contrast of 4.5 or more in both. */
const colours = `
:root{color-scheme:light;--ground:#fdfdfb;--raised:#f6f6f2;--ink:#1c2024;--soft:#59616a;--line:#e3e3dd;--strong-line:#c9cac4;
--link:#0a6a5a;--mark:#0f8a75;--bad:#b42318;--bad-ground:#fdf1ef;--warn:#8a5300;--warn-ground:#fdf5e6;--shade:rgba(24,28,32,.08);
--hl-keyword:#7b3fa0;--hl-string:#2b6a3d;--hl-number:#9a4a00;--hl-comment:#69717a;--hl-title:#1b5ea6;--hl-type:#0a6a5a;--hl-soft:#59616a;
--a0:#1c2024;--a1:#b42318;--a2:#2b6a3d;--a3:#8a5300;--a4:#1b5ea6;--a5:#7b3fa0;--a6:#0a6a6f;--a7:#59616a;--a8:#59616a}
`;
const dark = `color-scheme:dark;--ground:#14171a;--raised:#1b1f23;--ink:#e4e6e8;--soft:#9ba4ad;--line:#2a2f35;--strong-line:#414850;
--link:#5fd0b8;--mark:#35b89c;--bad:#ff8a7a;--bad-ground:#2c1a18;--warn:#eab35c;--warn-ground:#2a2215;--shade:rgba(0,0,0,.5);
--hl-keyword:#c8a3ea;--hl-string:#98d1a0;--hl-number:#efb57a;--hl-comment:#8b949e;--hl-title:#8abcf6;--hl-type:#6fd3bd;--hl-soft:#9ba4ad;
--a0:#9ba4ad;--a1:#ff8a7a;--a2:#98d1a0;--a3:#eab35c;--a4:#8abcf6;--a5:#c8a3ea;--a6:#6fd0d8;--a7:#e4e6e8;--a8:#8b949e`;

const frame = `
*,*::before,*::after{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-padding-top:1.5rem}
body{margin:0;background:var(--ground);color:var(--ink);font:400 1.0625rem/1.68 Inter,system-ui,-apple-system,"Segoe UI",sans-serif;
font-feature-settings:"cv05","cv11";overflow-wrap:break-word;--mono:ui-monospace,"SF Mono",SFMono-Regular,Menlo,Consolas,"Cascadia Mono","DejaVu Sans Mono","Liberation Mono",monospace}
a{color:var(--link);text-decoration-thickness:1px;text-underline-offset:.18em;text-decoration-color:color-mix(in srgb,currentColor 45%,transparent)}
a:hover{text-decoration-color:currentColor}
:focus-visible{outline:2px solid var(--mark);outline-offset:2px;border-radius:2px}
::selection{background:color-mix(in srgb,var(--mark) 26%,transparent)}
.skip{position:absolute;left:1rem;top:-4rem;background:var(--ground);padding:.5rem 1rem;z-index:5}
.skip:focus{top:.5rem}
.bar{display:flex;align-items:center;gap:.25rem 1.25rem;max-width:80rem;margin:0 auto;padding:1.1rem 2rem 0;font-size:.875rem;color:var(--soft)}
.bar a{color:inherit;text-decoration:none}.bar a:hover{color:var(--ink)}
.bar .brand{font-weight:650;color:var(--ink);letter-spacing:-.01em;display:inline-flex;align-items:center;gap:.5rem}
.bar .brand svg{width:1.15rem;height:1.15rem;color:var(--mark)}
.bar .spread{flex:1}
button{font:inherit;color:inherit}
.tool{border:1px solid transparent;background:none;padding:.25rem .5rem;border-radius:6px;cursor:pointer;line-height:1.3;color:var(--soft)}
.tool:hover{color:var(--ink);border-color:var(--line)}
.no-js .tool{display:none}
.shell{max-width:80rem;margin:0 auto;padding:0 2rem 5rem}
.masthead{max-width:60rem;margin:2.2rem 0 2.6rem}
.masthead.wide{max-width:none}
/* The title stands in a detection: four corners and a label. */
.boxed{position:relative;padding:1.5rem 1.6rem 1.35rem;margin:1.6rem 0 1.5rem;
--c:linear-gradient(var(--mark),var(--mark));--n:1.5rem;--t:2px;background:
var(--c) 0 0/var(--n) var(--t),var(--c) 0 0/var(--t) var(--n),var(--c) 100% 0/var(--n) var(--t),var(--c) 100% 0/var(--t) var(--n),
var(--c) 0 100%/var(--n) var(--t),var(--c) 0 100%/var(--t) var(--n),var(--c) 100% 100%/var(--n) var(--t),var(--c) 100% 100%/var(--t) var(--n);background-repeat:no-repeat}
.boxed.failed,.boxed.interrupted{--c:linear-gradient(var(--tone),var(--tone))}
.failed{--tone:var(--bad);--tone-ground:var(--bad-ground)}.interrupted{--tone:var(--warn);--tone-ground:var(--warn-ground)}
.boxed .label{position:absolute;left:0;top:0;transform:translateY(-50%);margin:0 0 0 1rem;background:var(--tone,var(--link));color:var(--ground);
font:600 .75rem/1.55 var(--mono);padding:.05rem .5rem;border-radius:2px}
h1{font-size:clamp(1.7rem,1.2rem + 1.9vw,2.35rem);line-height:1.16;letter-spacing:-.022em;font-weight:680;margin:0;text-wrap:balance}
.run{display:flex;flex-wrap:wrap;gap:.6rem 2rem;margin:0;font-size:.875rem;line-height:1.45}
.run div{min-width:0}
.run dt{color:var(--soft);font-size:.78rem}.run dd{margin:0;font-variant-numeric:tabular-nums}
.banner{border-left:3px solid var(--tone);background:var(--tone-ground);padding:.8rem 1.1rem;margin:1.5rem 0 0;border-radius:0 4px 4px 0;font-size:.95rem;line-height:1.5}
.banner p{margin:0}.banner code{overflow-wrap:anywhere}
.banner strong{color:var(--tone)}.banner a{color:inherit}
.toc{font-size:.875rem;line-height:1.42}
.toc ol{list-style:none;margin:0;padding:0}
.toc li{margin:0}
.toc a{display:block;color:var(--soft);text-decoration:none;padding:.27rem .6rem .27rem .75rem;border-left:2px solid transparent}
.toc a:hover{color:var(--ink)}
.toc ol ol a{padding-left:1.5rem;font-size:.94em}
.toc a[aria-current]{color:var(--ink);border-left-color:var(--mark)}
.toc summary{cursor:pointer;font-weight:600}
main{min-width:0}
.foot{max-width:60rem;border-top:1px solid var(--line);margin-top:4rem;padding-top:1.2rem;font-size:.875rem;color:var(--soft);display:flex;flex-wrap:wrap;gap:.4rem 2rem;justify-content:space-between}
.foot p{margin:0}.foot code{font:500 .95em var(--mono);color:var(--ink)}
.foot a{color:var(--ink)}
@media (min-width:72rem){
.shell.with-toc{display:grid;grid-template-columns:15rem minmax(0,1fr);column-gap:4.25rem}
.with-toc .masthead{grid-column:2}
.with-toc .toc{grid-column:1;grid-row:1/span 2;position:sticky;top:0;align-self:start;max-height:100vh;overflow-y:auto;padding:2.7rem 0 2rem;scrollbar-width:thin}
.toc summary{list-style:none;cursor:default;color:var(--soft);font-size:.78rem;font-weight:400;padding-left:.75rem;margin-bottom:.35rem;pointer-events:none}
.toc summary::-webkit-details-marker{display:none}
.with-toc main,.with-toc .foot{grid-column:2}
}
@media (max-width:71.99rem){
.toc{border:1px solid var(--line);border-radius:6px;margin:0 0 2.2rem;max-width:44rem}
.toc summary{padding:.65rem .95rem;list-style-position:inside}
.toc[open] summary{border-bottom:1px solid var(--line)}
.toc>ol{padding:.5rem .2rem .6rem}
.toc a{padding-top:.42rem;padding-bottom:.42rem}
}
@media (max-width:40rem){
body{font-size:1rem;line-height:1.62}
.bar,.shell{padding-left:1rem;padding-right:1rem}
.shell{padding-bottom:3rem}
.masthead{margin:1.2rem 0 1.8rem}
.boxed{padding:1.3rem 1.1rem 1.1rem}
.run{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));gap:.7rem 1rem}
.bar .optional{display:none}
}
@media print{
.bar,.toc,.skip,.copy,.more{display:none!important}
body{font-size:10.5pt;line-height:1.5;background:#fff}
.shell{display:block!important;padding:0;max-width:none}
.masthead{margin:0 0 1.5rem}
a{color:inherit}
.boxed .label{background:none;color:var(--ink)}
}
`;

const cards = `
.cards{list-style:none;margin:2.4rem 0 0;padding:0;display:grid;gap:2rem 1.75rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,20.5rem),1fr))}
.card{position:relative;display:flex;flex-direction:column;border:1px solid var(--line);border-radius:8px;overflow:hidden;background:var(--ground)}
.card:hover,.card:focus-within{border-color:var(--strong-line);box-shadow:0 6px 24px var(--shade)}
.card .thumb{aspect-ratio:16/9;background:#fff;border-bottom:1px solid var(--line);overflow:hidden}
.card .thumb img{width:100%;height:100%;object-fit:cover;object-position:50% 0;display:block}
.card .thumb.chart-thumb img{object-fit:contain;padding:.6rem}
.card .thumb.none{background:var(--raised);display:grid;place-items:center;color:var(--strong-line)}
.card .thumb.none svg{width:3rem;height:3rem}
.card .text{padding:1.05rem 1.2rem 1.15rem;display:flex;flex-direction:column;gap:.45rem;flex:1}
.card h2{font-size:1.12rem;line-height:1.3;margin:0;letter-spacing:-.012em;font-weight:640}
.card h2 a{color:inherit;text-decoration:none}.card h2 a::after{content:"";position:absolute;inset:0}
.card p{margin:0;font-size:.92rem;line-height:1.5;color:var(--soft);display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:3;overflow:hidden}
.card .state{margin-top:auto;padding-top:.35rem;font-size:.82rem;color:var(--soft);display:block;font-variant-numeric:tabular-nums}
.card .state b{font-weight:600;color:var(--tone,var(--link))}
.intro{max-width:44rem;color:var(--soft);margin:.8rem 0 1.4rem}
@media print{.card{break-inside:avoid}}
`;

/** Style of every page. */
export const frameStyle: string =
  colours +
  // Dark is for screens: paper is white whatever the screen was.
  `@media screen{:root[data-theme=dark]{${dark}}}\n@media screen and (prefers-color-scheme:dark){:root:not([data-theme=light]){${dark}}}\n` +
  frame;

/** Style of the page that lists the notebooks. */
export const cardStyle: string = cards;
