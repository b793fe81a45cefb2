"""The style sheet of the pages, for light and dark mode and for narrow screens, and the policy that allows only it."""

from __future__ import annotations

from exporter.web.html import hash_style

STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --dim: #57606a; --line: #d0d7de; --back: #fff; --panel: #f6f8fa;
  --good: #1a7f37; --bad: #b4232c; --wait: #8a5a00; --link: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --dim: #9aa4af; --line: #3a424c; --back: #12161b;
  --panel: #1b2128; --good: #4cc46a; --bad: #ff7b72; --wait: #e3b341; --link: #6cb6ff; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); margin: 0 auto;
  max-width: 72rem; padding: 1.5rem; }
h1, h2, h3, p, li, summary { overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
a { color: var(--link); } p { margin: .5rem 0; }
nav { margin: .25rem 0 1.5rem; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
.dim { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); } .wait { color: var(--wait); }
.good, .bad, .wait { font-weight: 600; }
.good, .bad, .wait, .nowrap { white-space: nowrap; }
p.good, p.wait { white-space: normal; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--dim); font-weight: 600; white-space: nowrap; }
.nowrap { font-variant-numeric: tabular-nums; } td { overflow-wrap: break-word; min-width: 3.5rem; }
td:last-child { overflow-wrap: anywhere; min-width: 16rem; }
code, pre { font: .85rem/1.45 ui-monospace, monospace; } code { overflow-wrap: anywhere; }
pre { margin: .25rem 0 0; padding: .4rem .6rem; white-space: pre-wrap; overflow-wrap: anywhere;
  background: var(--panel); }
h3 { font-size: 1rem; margin: 1.2rem 0 .25rem; }
.stacked { table-layout: fixed; } .stacked caption { position: absolute; clip-path: inset(50%); width: 1px; height: 1px;
  overflow: hidden; } .stacked :is(th, td) { overflow-wrap: anywhere; min-width: 0; white-space: normal; }
.stacked th:first-child { width: 15%; } tbody th { color: inherit; } .bad a, .wait a, .dim a { color: inherit; }
.lines { list-style: none; margin: 0; padding: 0; }
.summary { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; list-style: none; padding: 0; }
@media (max-width: 44rem) { body { padding: 1rem; } .stacked, .stacked :is(tbody, tr, th, td) { display: block; }
  .stacked thead { position: absolute; clip-path: inset(50%); height: 1px; overflow: hidden; }
  .stacked th:first-child { width: auto; } .stacked tr { border-bottom: 1px solid var(--line); padding: .6rem 0; }
  .stacked :is(th, td) { border: 0; padding: .15rem 0; }
  .stacked td::before { content: attr(data-label); display: block; font-size: .8rem; color: var(--dim); } }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; } dt { font-weight: 600; } dd { margin: 0 0 .5rem; }
"""
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {hash_style(STYLE)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the pages: only their inline style sheet is allowed."""
