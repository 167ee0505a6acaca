"""The one style sheet of site pages: for a screen, and for one sheet of A4."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{--ink:#1d2530;--soft:#5d6672;--line:#dfe2e6;--own:#1b3a5d;--good:#1f8177;--bad:#b23a26;--paper:#fff;
--ground:#eef0f2}
*{box-sizing:border-box}
html{-webkit-print-color-adjust:exact;print-color-adjust:exact}
body{margin:0;background:var(--ground);color:var(--ink);font:13.5px/1.42 "Helvetica Neue",Arial,"PingFang SC",
"Hiragino Sans GB","Microsoft YaHei","Noto Sans CJK SC","Noto Sans SC",sans-serif}
main{max-width:1060px;margin:18px auto;background:var(--paper);padding:26px 30px 18px;border-radius:6px;
box-shadow:0 1px 5px rgba(20,30,45,.13)}
header{display:flex;justify-content:space-between;align-items:flex-end;gap:20px;border-bottom:3px solid var(--own);
padding-bottom:10px;margin-bottom:16px}
h1{font-size:25px;line-height:1.15;margin:2px 0 3px;overflow-wrap:anywhere}
h2{font-size:14px;margin:0 0 7px;font-weight:700}
h2 .zh,th .zh,.label .zh{font-weight:400;color:var(--soft);margin-left:5px}
p{margin:0 0 6px}
.kicker{font-size:11px;letter-spacing:.09em;text-transform:uppercase;color:var(--soft)}
.facts,.small{color:var(--soft);font-size:12px}
.badge{display:inline-block;padding:5px 12px;border-radius:13px;font-weight:600;font-size:12px;white-space:nowrap;
background:#e0f0ec;color:#125e56}
.badge.warn{background:#fbe3d9;color:#8f2c17}
.notice{background:#fdf0ea;border-left:4px solid var(--bad);padding:8px 12px;margin:0 0 14px}
.figures{display:grid;grid-template-columns:1.75fr 1fr 1fr 1fr;gap:12px;margin-bottom:18px}
.figure{border:1px solid var(--line);border-radius:5px;padding:10px 13px}
.figure.lead{background:#f2f7f6;border-color:#bcdcd6}
.label{font-size:11.5px;color:var(--soft)}
.number{font-size:22px;font-weight:700;letter-spacing:-.01em;white-space:nowrap}
.lead .number{font-size:31px;line-height:1.2}
.number small{font-size:13px;font-weight:400;color:var(--soft);letter-spacing:0}
.columns>div section+section{margin-top:18px}
.bad{color:var(--bad)}.good{color:var(--good)}
.columns{display:grid;grid-template-columns:minmax(0,1.45fr) minmax(0,1fr);gap:22px;margin-bottom:18px}
svg{display:block;width:100%;height:auto}
svg.map{border:1px solid var(--line);border-radius:5px}
svg text{font-family:inherit;fill:var(--ink)}
svg .scale,svg .small{font-size:10.5px}
svg .axis{font-size:11px;fill:var(--soft)}
svg .north,svg .pin{font-size:10px;font-weight:700;text-anchor:middle}
svg .pin{fill:#fff;font-size:11px}
svg .tag{font-size:10.5px;font-weight:600;paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
.legend{display:flex;flex-wrap:wrap;gap:4px 14px;align-items:center;font-size:11.5px;color:var(--soft);margin-top:6px}
.legend span{display:inline-flex;align-items:center;gap:5px}
.legend svg{width:15px;height:15px;flex:none}
.legend .swatch{width:17px;height:11px;border:1px solid rgba(0,0,0,.08)}
.legend .steps{gap:0}
.legend .steps .swatch{width:22px}
table{border-collapse:collapse;width:100%;font-size:12.3px;font-variant-numeric:tabular-nums}
th{font-weight:600;text-align:right;border-bottom:1.5px solid var(--ink);padding:3px 0 3px 9px;vertical-align:bottom}
td{text-align:right;border-bottom:1px solid var(--line);padding:3.5px 0 3.5px 9px;vertical-align:top}
th:first-child,td:first-child{text-align:left;padding-left:0;overflow-wrap:anywhere}
td:not(:first-child){white-space:nowrap}
th .zh{display:block;margin:0}
td .zh{display:block;color:var(--soft);font-size:11px}
tr.total td{font-weight:700;border-bottom:0}
ol.reasons{list-style:none;margin:0;padding:0}
ol.reasons li{display:grid;grid-template-columns:54px 1fr;gap:9px;padding:5px 0;border-bottom:1px solid var(--line)}
ol.reasons b{font-size:14px;text-align:right;white-space:nowrap}
ol.reasons .zh{display:block;color:var(--soft);font-size:12px}
section{break-inside:avoid}
footer{border-top:1px solid var(--line);padding-top:8px;margin-top:6px;font-size:10.8px;color:var(--soft);
overflow-wrap:anywhere}
@media screen and (max-width:760px){.columns{grid-template-columns:minmax(0,1fr)}
.figures{grid-template-columns:1fr 1fr}.figure.lead{grid-column:1/-1}header{display:block}main{padding:16px}}
@page{size:A4;margin:8mm}
@media print{body{background:#fff;font-size:10.5px}main{max-width:none;margin:0;padding:0;box-shadow:none;zoom:.86}
.columns{gap:14px;margin-bottom:9px}.columns{grid-template-columns:minmax(0,1.3fr) minmax(0,1fr)}
.figures{grid-template-columns:1.75fr 1fr 1fr 1fr;margin-bottom:10px}
table{font-size:9.6px}td{padding:1.6px 0 1.6px 6px}td .zh{display:inline;margin-left:4px;font-size:8.4px}
svg.map{max-height:76mm}h1{font-size:17px}
ol.reasons li{padding:2px 0;grid-template-columns:44px 1fr}ol.reasons b{font-size:11px}
.label,.small,.facts,.legend,ol.reasons .zh{font-size:9.2px}h1{font-size:19px}h2{font-size:11.5px;margin-bottom:3px}
.figure{padding:6px 9px}.columns>div section+section{margin-top:9px}header{padding-bottom:5px;margin-bottom:9px}
footer{font-size:8.4px;padding-top:4px}
.number{font-size:17px}.lead .number{font-size:24px}}
"""
