// SPDX-License-Identifier: Apache-2.0
// The style sheet of the report: light or dark like the reader's system, one column on a phone.
#pragma once

namespace doppel::eval::detail {

inline constexpr const char* page_style = R"css(
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1b1f27; --soft: #5d6675; --edge: #dfe3ea;
  --track: #e9ecf1; --main: #2f7ed8; --other: #a7b2c2; --right: #14925f; --wrong: #d2452f; }
@media (prefers-color-scheme: dark) {
  :root { --page: #12151b; --card: #1b2029; --text: #e8ebf0; --soft: #9aa5b5; --edge: #2e3542; --track: #2a313d;
    --main: #5aa0f2; --other: #667387; --right: #35bd86; --wrong: #f0725e;
    --line-0: #5aa0f2; --line-1: #f5a143; --line-2: #35bd9a; --line-3: #e283b5; --line-4: #aa9df0; --line-5: #aab0bb; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 16px 56px; }
h1 { font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.2; margin: 0 0 8px; }
h2 { font-size: 1.2rem; margin: 0 0 4px; }
p { margin: 0 0 12px; max-width: 72ch; }
h1, h2, p, td, dd { overflow-wrap: anywhere; }
.lead { font-size: 1.08rem; color: var(--soft); margin-bottom: 20px; }
.soft, .cap { color: var(--soft); }
h3 { font-size: 1rem; margin: 18px 0 4px; }
.tags { display: flex; flex-wrap: wrap; gap: 6px; margin: 0 0 10px; }
.tags span { border: 1px solid var(--edge); background: var(--card); border-radius: 999px; padding: 1px 11px; font-size: .86rem; }
.verdict { display: flex; gap: 14px; align-items: flex-start; background: var(--card); border: 1px solid var(--edge);
  border-left: 6px solid var(--tone); border-radius: 12px; padding: 14px 18px; margin-bottom: 16px; }
.verdict p { margin: 0; font-weight: 550; }
.verdict p.soft { margin-top: 4px; font-weight: 400; }
.verdict .sign { flex: none; width: 30px; height: 30px; border-radius: 50%; background: var(--tone); color: var(--card);
  font-weight: 800; font-size: 1.1rem; line-height: 30px; text-align: center; }
.verdict.good { --tone: var(--right); } .verdict.unsure { --tone: var(--line-1, #b7640a); } .verdict.bad { --tone: var(--wrong); }
nav { display: flex; gap: 4px 18px; overflow-x: auto; position: sticky; top: 0; z-index: 3; background: var(--page);
  padding: 9px 0; margin: 0 -2px; white-space: nowrap; scrollbar-width: none; }
nav a { color: var(--main); text-decoration: none; font-size: .92rem; padding: 1px 2px; }
nav a:hover { text-decoration: underline; }
section { scroll-margin-top: 48px; background: var(--card); border: 1px solid var(--edge); border-radius: 12px; padding: 20px; margin-top: 16px; }
.measure { margin-top: 16px; }
.measure .top { display: flex; justify-content: space-between; align-items: baseline; gap: 16px; }
.measure .value { font-size: 1.15rem; font-variant-numeric: tabular-nums; color: var(--soft); white-space: nowrap; }
.measure.main .top { font-weight: 650; }
.measure.main .value { font-size: 2rem; line-height: 1; color: var(--main); }
.track { height: 12px; border-radius: 6px; background: var(--track); overflow: hidden; margin: 5px 0; }
.measure.main .track { height: 18px; border-radius: 9px; }
.fill { height: 100%; border-radius: inherit; background: var(--other); }
.measure.main .fill { background: var(--main); }
.measure .track { position: relative; overflow: visible; }
.interval { position: absolute; top: 25%; height: 50%; border: solid var(--text); border-width: 0 2px; }
.interval::before { content: ""; position: absolute; left: 0; right: 0; top: calc(50% - 1px); border-top: 2px solid var(--text); }
.measure p { font-size: .92rem; margin: 0; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 210px), 1fr)); gap: 12px 20px; margin: 10px 0 0; }
dl.wide { grid-template-columns: 1fr; }
dl.wide dd { font-weight: 400; }
dt { font-size: .82rem; color: var(--soft); }
dd { margin: 0; font-weight: 550; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); gap: 20px; margin-top: 8px; }
.charts svg { width: 100%; max-width: 600px; height: auto; display: block; }
.scroll { overflow-x: auto; }
details { margin-top: 12px; }
summary { cursor: pointer; color: var(--main); width: fit-content; }
.plot { position: relative; }
.plot svg { display: block; }
.charts .plot > svg { overflow: visible; }
.charts .plot { max-width: 600px; }
svg[data-frame], svg[data-map], svg[data-counts] { touch-action: pan-y pinch-zoom; }
.script .plot svg[data-frame] { cursor: crosshair; }
.script .charts svg svg g g circle { pointer-events: none; }
.dots { width: 100%; height: auto; background: var(--page); border: 1px solid var(--edge); border-radius: 8px; }
.dots.zoomed { cursor: grab; }
.dots g { opacity: .85; }
.ring { fill: none; stroke: var(--text); stroke-width: 2; pointer-events: none; }
.band { fill: var(--main); fill-opacity: .18; pointer-events: none; }
.cross { pointer-events: none; }
.tip { position: absolute; z-index: 2; pointer-events: none; background: var(--card); border: 1px solid var(--edge);
  border-radius: 8px; padding: 7px 10px; font-size: .86rem; line-height: 1.35; box-shadow: 0 3px 14px rgba(0, 0, 0, .22);
  max-width: min(300px, 80vw); width: max-content; overflow-wrap: anywhere; }
.tip[hidden] { display: none; }
.tip .caption { font-weight: 600; max-width: 200px; }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 6px; }
.thumb { width: 112px; height: 112px; overflow: hidden; border-radius: 5px; margin-bottom: 4px; background: var(--track); }
.thumb img { display: block; max-width: none; height: auto; transform-origin: 0 0; }
.thumb img.px { image-rendering: pixelated; }
.sprite { display: none; }
.tools { position: absolute; top: -3px; right: 0; display: flex; gap: 3px; opacity: .75; }
.tools:hover, .tools:focus-within { opacity: 1; }
button { font: inherit; font-size: .86rem; color: var(--text); background: var(--card); border: 1px solid var(--edge);
  border-radius: 7px; cursor: pointer; padding: 2px 9px; min-height: 28px; }
.tools button { min-width: 28px; padding: 0; }
.map .tools { top: 8px; right: 8px; }
.tabs, .legend { display: flex; flex-wrap: wrap; gap: 6px; margin: 10px 0; }
.legend { gap: 4px; }
.key svg { vertical-align: -2px; }
button[aria-pressed="true"] { border-color: var(--main); box-shadow: inset 0 0 0 1px var(--main); }
:focus-visible { outline: 2px solid var(--main); outline-offset: 2px; }
.script .tabs ~ .map h3 { display: none; }
.confusion { width: 100%; height: auto; margin: 0 auto; }
.confusion .over { fill: var(--card); font-weight: 600; }
pre.command { position: relative; background: var(--page); border: 1px solid var(--edge); border-radius: 8px; margin: 6px 0 0;
  padding: 10px 76px 10px 12px; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .86rem; }
.copy { position: absolute; top: 6px; right: 6px; }
.row { display: flex; gap: 10px; align-items: flex-start; padding: 10px 2px; width: max-content; }
.row + .row { border-top: 1px solid var(--edge); }
figure { margin: 0; width: 96px; flex: none; }
figure.first { padding-right: 10px; border-right: 1px solid var(--edge); width: 107px; }
figure img { display: block; width: 96px; height: 96px; object-fit: contain; border-radius: 6px; background: var(--track); }
figure img.px { image-rendering: pixelated; }
figure.right img, figure.wrong img { padding: 4px; background: var(--right); }
figure.wrong img { background: var(--wrong); }
figcaption { font-size: .78rem; line-height: 1.3; margin-top: 4px; overflow-wrap: anywhere; }
.mark { font-weight: 700; color: var(--right); }
.wrong .mark { color: var(--wrong); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--edge); }
th { font-size: .82rem; color: var(--soft); font-weight: 500; }
th button { background: none; border: 0; padding: 0; min-height: 0; color: inherit; text-align: inherit; font-size: inherit; }
th[aria-sort="ascending"] button::after { content: " \25b2"; }
th[aria-sort="descending"] button::after { content: " \25bc"; }
.sortable { width: auto; min-width: min(100%, 420px); }
.sortable td { overflow-wrap: normal; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.sortable .number { padding: 7px 0 7px 14px; } .sortable th:first-child, .sortable td:first-child { padding-right: 14px; }
.best { color: var(--right); white-space: nowrap; }
.figures td:nth-child(2) { font-variant-numeric: tabular-nums; font-weight: 550; white-space: nowrap; }
@media (max-width: 520px) { main { padding: 20px 10px 40px; } section { padding: 14px; }
  .figures tr { display: grid; grid-template-columns: 1fr auto; } .figures tr:first-child { display: none; }
  .figures td { padding: 6px 0 2px; border: 0; } .figures td:nth-child(3) { grid-column: 1 / 3; padding: 0 0 8px; border-bottom: 1px solid var(--edge); }
  .charts svg text { font-size: 15px; } .charts .tools { top: -10px; } .charts { row-gap: 26px; }
  figure, figure img { width: 72px; } figure img { height: 72px; } figure.first { width: 83px; } }
@media print { body { background: none; } section { break-inside: avoid; } nav, .tools, .copy { display: none; } }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
)css";

}  // namespace doppel::eval::detail
