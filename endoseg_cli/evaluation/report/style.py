"""The look of the HTML report, for light and dark screens and for paper."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1c2128; --quiet: #57606a; --line: #d8dde3; --accent: #1f6feb;
  --note: #fff7e6; --note-line: #d9a514; --truth: #0a9d3a; --prediction: #c4009b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1318; --card: #181d24; --ink: #e3e8ee; --quiet: #9aa5b1; --line: #2c343e; --accent: #6ea8fe;
    --note: #2b2410; --note-line: #b48a17; --truth: #3fdc74; --prediction: #ff6ad9;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 0 0 12px; }
h3 { font-size: 15px; margin: 20px 0 8px; }
p { margin: 0 0 8px; }
.quiet { color: var(--quiet); }
.small { font-size: 13px; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 20px 22px; margin-top: 20px;
}
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; margin-top: 20px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.tile b { display: block; font-size: 25px; font-weight: 600; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { color: var(--quiet); font-size: 13px; }
.note {
  background: var(--note); border-left: 4px solid var(--note-line); border-radius: 4px; padding: 8px 12px;
  margin: 12px 0 0;
}
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 10px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--quiet); font-size: 13px; font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
tbody tr:last-child td { border-bottom: none; }
.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.facts td:first-child { color: var(--quiet); white-space: nowrap; width: 1%; padding-right: 24px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 20px; }
.frames { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 16px; }
figure { margin: 0; }
.plots figure { max-width: 620px; }
figure img { width: 100%; height: auto; display: block; border-radius: 6px; }
figcaption { font-size: 13px; color: var(--quiet); margin-top: 6px; overflow-wrap: anywhere; }
figcaption b { color: var(--ink); }
.truth { color: var(--truth); font-weight: 600; }
.prediction { color: var(--prediction); font-weight: 600; }
dl { display: grid; grid-template-columns: minmax(150px, max-content) 1fr; gap: 6px 24px; margin: 0; font-size: 14px; }
dt { font-weight: 600; }
dd { margin: 0; color: var(--quiet); }
footer { margin-top: 24px; color: var(--quiet); font-size: 13px; }
@media (max-width: 640px) { .plots { grid-template-columns: 1fr; } dl { grid-template-columns: 1fr; } }
@media print { section, .tile { break-inside: avoid; } body { background: #fff; } }
"""
