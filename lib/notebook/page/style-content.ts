/** How prose, code and outputs look. */

const prose = `
main{counter-reset:figure}
.cell{margin:0 0 1.5rem;position:relative;max-width:60rem}
.prose>*{max-width:44rem}
.prose>.scroll,.prose>pre,.prose>.formula{max-width:60rem}
.prose>.formula{width:fit-content;min-width:min(100%,44rem);max-width:min(100%,60rem)}
.prose p,.prose ul,.prose ol,.prose blockquote,.prose dl,.prose figure{margin:0 0 1.05rem}
.prose>:last-child{margin-bottom:0}
.prose li{margin:.28rem 0}.prose li>p{margin-bottom:.5rem}
.prose ul,.prose ol{padding-left:1.5rem}
.prose li::marker{color:var(--soft)}
.task{list-style:none;margin-left:-1.35rem!important}.task>input,.task>p>input{accent-color:var(--mark);margin:0 .45rem 0 0}
h2,h3,h4,h5,h6{line-height:1.3;letter-spacing:-.014em;font-weight:650;text-wrap:balance;position:relative}
.prose h1{margin:3rem 0 1rem}
.prose h2{font-size:1.6rem;margin:3.1rem 0 .9rem}
.prose h3{font-size:1.22rem;margin:2.2rem 0 .7rem}
.prose h4,.prose h5,.prose h6{font-size:1.03rem;margin:1.7rem 0 .5rem}
.cell.prose>:first-child{margin-top:0}
.cell+.cell.prose>h2:first-child,.cell+.cell.prose>h1:first-child{margin-top:3.1rem}
.cell+.cell.prose>h3:first-child{margin-top:2.2rem}
.anchor{position:absolute;right:100%;padding-right:.35rem;color:var(--strong-line);text-decoration:none;font-weight:400;opacity:0}
:is(h1,h2,h3,h4,h5,h6):hover>.anchor,.anchor:focus-visible{opacity:1}
blockquote{border-left:3px solid var(--line);padding:.05rem 0 .05rem 1.1rem;color:var(--soft)}
blockquote>:last-child{margin-bottom:0!important}
hr{border:0;border-top:1px solid var(--line);margin:2.4rem 0}
.prose code,.banner code{font:450 .86em/1.4 var(--mono);background:var(--raised);border-radius:3px;padding:.12em .32em}
.prose pre code{font:inherit;background:none;padding:0}
kbd{font:.82em var(--mono);border:1px solid var(--strong-line);border-bottom-width:2px;border-radius:4px;padding:.05em .4em}
mark{background:color-mix(in srgb,var(--warn) 25%,transparent);color:inherit}
details{margin:0 0 1.05rem}summary{cursor:pointer}
/* A box that scrolls shows at its edge that there is more. */
.scroll,.formula,.source pre,.prose pre.block{--over:var(--ground);background:linear-gradient(to right,var(--over) 30%,transparent) 0 0/2rem 100% local no-repeat,linear-gradient(to left,var(--over) 30%,transparent) 100% 0/2rem 100% local no-repeat,
linear-gradient(to right,var(--shade),transparent) 0 0/.65rem 100% scroll no-repeat,linear-gradient(to left,var(--shade),transparent) 100% 0/.65rem 100% scroll no-repeat}
.source pre,.prose pre.block{--over:var(--raised);background-color:var(--raised);border-radius:6px}
img{max-width:100%;height:auto}
.scroll{overflow-x:auto;max-width:100%;margin:0 0 1.2rem;scrollbar-width:thin}
table{width:max-content;max-width:60rem;border-collapse:collapse;font-size:.92rem;line-height:1.45;font-variant-numeric:tabular-nums lining-nums;border-top:1.5px solid var(--strong-line);border-bottom:1.5px solid var(--strong-line)}
caption{text-align:left;color:var(--soft);padding:.3rem 0 .5rem;font-size:.9rem}
th,td{padding:.42rem .9rem;text-align:left;vertical-align:top}
th:first-child,td:first-child{padding-left:.2rem}
thead th{font-weight:620;border-bottom:1px solid var(--strong-line);vertical-align:bottom}
tbody tr+tr>*{border-top:1px solid var(--line)}
tbody th{font-weight:500}
.formula{display:block;overflow-x:auto;overflow-y:hidden;padding:.35rem 0;margin:1rem 0;scrollbar-width:thin}
.prose>.formula{margin:1.1rem 0 1.25rem}
p>.formula:first-child{margin-top:0}
.katex{font-size:1.12em!important}
.katex-display{margin:0!important}
.katex-display>.katex{padding:.1em .2em}
`;

const code = `
pre{margin:0;font:400 .82rem/1.62 var(--mono);tab-size:2;font-variant-ligatures:none}
.source,.prose pre.block{position:relative;border-radius:6px}
.source pre,.prose pre.block{padding:.85rem 1.1rem;overflow-x:auto;scrollbar-width:thin}
.prose pre.block{margin:0 0 1.2rem}
.cell.code>.facts{margin:0 0 .2rem;font:.75rem/1.6 var(--mono);color:var(--soft);display:flex;gap:.9rem}
.cell.code.failed .source{box-shadow:-3px 0 0 var(--bad)}
.copy{position:absolute;top:.42rem;right:.42rem;border:1px solid var(--line);background:var(--ground);border-radius:5px;font-size:.75rem;line-height:1.5;padding:.1rem .5rem;color:var(--soft);cursor:pointer}
.copy:hover{color:var(--ink);border-color:var(--strong-line)}
@media (hover:hover){.copy{opacity:0}.source:hover .copy,.copy:focus-visible{opacity:1}}
.source.folded pre{max-height:25rem;overflow-y:hidden}
.source.folded::after{content:"";position:absolute;inset:auto 0 0 0;height:5.5rem;background:linear-gradient(transparent,var(--raised) 78%);border-radius:0 0 6px 6px;pointer-events:none}
.more{display:block;width:100%;text-align:left;background:var(--raised);border:0;border-radius:0 0 6px 6px;padding:.35rem 1.1rem .55rem;font-size:.8rem;color:var(--link);cursor:pointer;margin-top:-.35rem;position:relative}
.more:hover{text-decoration:underline}
.hidden-source{margin:0}.hidden-source summary{font-size:.85rem;color:var(--soft);padding:.15rem 0}
.hidden-source[open] summary{margin-bottom:.3rem}
.no-code .cell.code>.source,.no-code .cell.code>.more,.no-code .cell.code>.facts,.no-code .hidden-source{display:none}
.no-code .cell.code.failed>.source{display:block}
.hljs-keyword,.hljs-built_in.hljs-keyword,.hljs-meta,.hljs-selector-tag,.hljs-name{color:var(--hl-keyword)}
.hljs-string,.hljs-regexp,.hljs-template-tag{color:var(--hl-string)}
.hljs-number,.hljs-literal,.hljs-symbol{color:var(--hl-number)}
.hljs-comment,.hljs-doctag{color:var(--hl-comment);font-style:italic}
.hljs-title,.hljs-title.function_{color:var(--hl-title)}
.hljs-title.class_,.hljs-type,.hljs-built_in,.hljs-variable.constant_{color:var(--hl-type)}
.hljs-subst{color:var(--ink)}.hljs-attr,.hljs-params,.hljs-property{color:inherit}
@media (min-width:72rem){
.with-toc .cell.code>.facts{position:absolute;right:100%;top:.95rem;margin-right:.85rem;flex-direction:column;gap:0;text-align:right;white-space:nowrap}
}
`;

const outputs = `
.outputs{margin-top:.8rem;display:grid;grid-template-columns:minmax(0,1fr);gap:1rem}
.out{margin:0;min-width:0}
.out.text pre{overflow:auto;max-height:32rem;padding:.1rem 0 .1rem 1.1rem;border-left:2px solid var(--line);scrollbar-width:thin}
.out.stderr pre{border-left-color:var(--warn)}
.out.error pre{overflow-x:auto;background:var(--bad-ground);border-left:3px solid var(--bad);padding:.85rem 1.1rem;border-radius:0 6px 6px 0}
.out.note{color:var(--soft);font-size:.92rem}
.out.html{font-size:.95rem;line-height:1.5}.out.html .scroll{margin:0}
.out.html svg,.out.html img{max-width:100%}
.picture,.chart{overflow-x:auto;scrollbar-width:thin}
.picture img,.chart-still img{display:block;max-width:100%;height:auto}
.zoom{display:block;padding:0;border:0;background:none;cursor:zoom-in;max-width:100%}
.chart.fluid{max-width:46rem}
.chart-live[hidden]{display:none}
.chart-live svg{display:block;max-width:100%;height:auto;overflow:visible}
.chart-live:focus-visible{outline-offset:4px}
.chart{position:relative}
.chart .save{position:absolute;right:.2rem;top:.2rem}
#tip{position:fixed;z-index:9;pointer-events:none;background:var(--ground);color:var(--ink);border:1px solid var(--strong-line);border-radius:6px;box-shadow:0 4px 18px var(--shade);padding:.4rem .65rem;font-size:.8rem;line-height:1.45;max-width:min(22rem,90vw);font-variant-numeric:tabular-nums}
#tip[hidden]{display:none}
#tip table{border:0;font-size:inherit}#tip td{padding:.05rem .3rem;border:0}#tip td:first-child{color:var(--soft);text-align:right}
#lightbox{border:0;padding:0;margin:auto;max-width:calc(100vw - 2rem);max-height:calc(100vh - 2rem);overflow:auto;background:#fff;border-radius:6px;cursor:zoom-out}
#lightbox::backdrop{background:rgba(10,12,14,.82)}
#lightbox img{display:block;max-width:none;min-width:min(100%,20rem)}
@media screen and (prefers-color-scheme:dark){:root:not([data-theme=light]) .chart-still img{background:#fff;border-radius:6px;padding:.4rem}}
@media screen{:root[data-theme=dark] .chart-still img{background:#fff;border-radius:6px;padding:.4rem}}
.ansi-bold{font-weight:650}.ansi-dim{opacity:.72}.ansi-italic{font-style:italic}.ansi-underline{text-decoration:underline}
.ansi-inverse{background:var(--ink);color:var(--ground)}
${[0, 1, 2, 3, 4, 5, 6, 7].map((n) => `.ansi-fg-${n}{color:var(--a${n})}.ansi-bg-${n}{background:color-mix(in srgb,var(--a${n}) 24%,transparent)}`).join('')}
${[8, 9, 10, 11, 12, 13, 14, 15].map((n) => `.ansi-fg-${n}{color:var(--a${n === 8 ? 8 : n - 8})}.ansi-bg-${n}{background:color-mix(in srgb,var(--a${n === 8 ? 8 : n - 8}) 36%,transparent)}`).join('')}
@media (max-width:40rem){
pre{font-size:.8rem}
.source pre,.prose pre.block{padding:.75rem .85rem}
.prose h2{font-size:1.4rem;margin-top:2.4rem}
.cell+.cell.prose>h2:first-child{margin-top:2.4rem}
th,td{padding:.38rem .6rem}
table:not(:has(tr>:nth-child(6))){max-width:34rem}
.anchor{display:none}
}
@media print{
.source.folded pre,.out.text pre{max-height:none;overflow:visible;white-space:pre-wrap}
.source pre,.prose pre.block{white-space:pre-wrap;background:var(--raised)}.source.folded::after{display:none}
table{max-width:100%!important;width:auto}.scroll,.formula{background:none;overflow:visible}
.chart-live{display:none!important}.chart-still{display:block!important}
.out,.source:not(.folded){break-inside:avoid-page}h2,h3{break-after:avoid}
}
`;

/** Style of what a notebook's cells hold. */
export const contentStyle: string = prose + code + outputs;
