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
section { background: var(--card); border: 1px solid var(--edge); border-radius: 12px; padding: 20px; margin-top: 16px; }
.measure { margin-top: 16px; }
.measure .top { display: flex; justify-content: space-between; align-items: baseline; gap: 16px; }
.measure .value { font-size: 1.15rem; font-variant-numeric: tabular-nums; color: var(--soft); white-space: nowrap; }
.measure.main .top { font-weight: 650; }
.measure.main .value { font-size: 2rem; line-height: 1; color: var(--main); }
.track { height: 12px; border-radius: 6px; background: var(--track); overflow: hidden; margin: 5px 0; }
.measure.main .track { height: 18px; border-radius: 9px; }
.fill { height: 100%; border-radius: inherit; background: var(--other); }
.measure.main .fill { background: var(--main); }
.measure p { font-size: .92rem; margin: 0; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 210px), 1fr)); gap: 12px 20px; margin: 10px 0 0; }
dt { font-size: .82rem; color: var(--soft); }
dd { margin: 0; font-weight: 550; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 20px; margin-top: 8px; }
.charts svg { width: 100%; max-width: 600px; height: auto; display: block; }
.scroll { overflow-x: auto; }
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
th, td { text-align: left; vertical-align: top; padding: 8px 14px 8px 0; border-bottom: 1px solid var(--edge); }
th { font-size: .82rem; color: var(--soft); font-weight: 500; }
td:nth-child(2) { font-variant-numeric: tabular-nums; font-weight: 550; white-space: nowrap; }
@media (max-width: 520px) { section { padding: 14px; } td:nth-child(2) { white-space: normal; }
  figure, figure img { width: 72px; } figure img { height: 72px; } figure.first { width: 83px; } }
@media print { body { background: none; } section { break-inside: avoid; } }
)css";

}  // namespace doppel::eval::detail
