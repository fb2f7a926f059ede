/// How reports look. Series have six colours that stand out from the page and that readers with any kind of colour blindness
/// can tell apart, by day and by night; the tests say by how much.
let styleSheet: StaticString = """
  :root {
    color-scheme: light dark;
    --paper: #ffffff; --ink: #1c2126; --muted: #5b6570; --faint: #e4e8ec; --rule: #c3cad1; --panel: #f5f7f9;
    --good: #00694a; --good-ground: #d9f2e8; --warn: #7a4b00; --warn-ground: #fdecc8;
    --bad: #a02800; --bad-ground: #fde0d4;
    --c0: #0d54c9; --c1: #a1291b; --c2: #01a977; --c3: #a77cb8; --c4: #3f3c49; --c5: #d97e00;
  }
  @media screen and (prefers-color-scheme: dark) {
    :root {
      --paper: #14181c; --ink: #e3e7eb; --muted: #9aa5b0; --faint: #2a3138; --rule: #48525c; --panel: #1c2228;
      --good: #6fdcb4; --good-ground: #0d3a2c; --warn: #f6c667; --warn-ground: #43310a;
      --bad: #ff9d78; --bad-ground: #4a1d0d;
      --c0: #5885ff; --c1: #d55a2e; --c2: #31db8c; --c3: #c07aba; --c4: #dcf2f8; --c5: #f5d83f;
    }
  }
  * { box-sizing: border-box; }
  body {
    margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 56.25rem; background: var(--paper); color: var(--ink);
    font: 1rem/1.55 system-ui, "Helvetica Neue", Arial, sans-serif; overflow-wrap: break-word;
  }
  header { border-bottom: 1px solid var(--rule); margin-bottom: 1.5rem; padding-bottom: 1rem; }
  h1 { font-size: 1.75rem; line-height: 1.25; margin: 0; }
  h2 { font-size: 1.25rem; line-height: 1.3; margin: 1.5rem 0 0; }
  h3 { font-size: 1.05rem; line-height: 1.3; margin: 0.5rem 0 0; }
  h2, h3 { break-after: avoid; }
  p { margin: 0; max-width: 46rem; }
  .subtitle { color: var(--muted); margin-top: 0.25rem; }
  main { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem 1.5rem; align-items: start; }
  main > * { grid-column: 1 / -1; min-width: 0; }
  main > .half { grid-column: auto; }
  dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 0.75rem 1.5rem; margin: 0; }
  dt { color: var(--muted); font-size: 0.8125rem; }
  dd { margin: 0; font-variant-numeric: tabular-nums; font-weight: 600; }
  .scroll { overflow-x: auto; }
  table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
  caption { caption-side: bottom; color: var(--muted); font-size: 0.875rem; padding-top: 0.5rem; text-align: left; }
  th, td { padding: 0.35rem 0.9rem; text-align: left; vertical-align: baseline; }
  th:first-child, td:first-child { padding-left: 0.25rem; }
  thead th { border-bottom: 1.5px solid var(--ink); font-weight: 600; vertical-align: bottom; }
  tbody td { border-bottom: 1px solid var(--faint); }
  th.right, td.right { text-align: right; white-space: nowrap; }
  th.centre, td.centre { text-align: center; }
  tr.best td { background: var(--panel); font-weight: 700; }
  tr { break-inside: avoid; }
  .badge {
    border-radius: 0.75rem; display: inline-block; font-size: 0.8125rem; font-weight: 600; line-height: 1;
    padding: 0.25rem 0.6rem; white-space: nowrap;
  }
  .passed { background: var(--good-ground); color: var(--good); }
  .warned { background: var(--warn-ground); color: var(--warn); }
  .refused { background: var(--bad-ground); color: var(--bad); }
  details { border: 1px solid var(--faint); border-radius: 0.375rem; padding: 0.5rem 0.75rem; }
  summary { cursor: pointer; font-weight: 600; }
  pre { font: 0.8125rem/1.5 ui-monospace, Menlo, Consolas, monospace; margin: 0.5rem 0 0; overflow-x: auto; }
  figure { break-inside: avoid; margin: 0; overflow-x: auto; }
  figcaption { color: var(--muted); font-size: 0.875rem; line-height: 1.45; margin-top: 0.35rem; max-width: 46rem; }
  svg { display: block; height: auto; width: 100%; font: 12px system-ui, "Helvetica Neue", Arial, sans-serif; }
  svg text { fill: var(--ink); font-variant-numeric: tabular-nums; }
  svg .label, svg .note { fill: var(--muted); }
  svg .legend .label { fill: var(--ink); }
  svg .axis-title { font-weight: 500; }
  svg .note { font-style: italic; }
  svg .empty { fill: var(--muted); font-size: 14px; }
  .s0 { --c: var(--c0); } .s1 { --c: var(--c1); } .s2 { --c: var(--c2); }
  .s3 { --c: var(--c3); } .s4 { --c: var(--c4); } .s5 { --c: var(--c5); }
  .axis { stroke: var(--muted); }
  .zero { stroke: var(--rule); }
  .grid-line { stroke: var(--faint); }
  .line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
  .outline { stroke-width: 1.5; stroke-linejoin: miter; }
  .thin { stroke-width: 1; stroke-opacity: 0.6; }
  .d1, .d4 { stroke-dasharray: 7 4; } .d2, .d5 { stroke-dasharray: 2 4; } .d3 { stroke-dasharray: 9 4 2 4; }
  .point { fill: var(--c); stroke: var(--paper); stroke-width: 1; }
  .hollow { fill: var(--paper); fill-opacity: 0.6; stroke: var(--c); stroke-width: 1.5; }
  .band { fill: var(--c); fill-opacity: 0.16; }
  .error { stroke: var(--c); stroke-width: 1.5; stroke-opacity: 0.8; }
  .dark { stroke: var(--ink); }
  .bar { fill: var(--c); }
  .bin { fill: var(--c); fill-opacity: 0.22; shape-rendering: crispEdges; }
  .outlined { stroke: var(--c); stroke-width: 1.5; }
  .bubble { fill: var(--c); fill-opacity: 0.3; stroke: var(--c); stroke-width: 1.25; }
  .way { stroke: var(--rule); stroke-width: 1.5; }
  .rule { stroke: var(--ink); stroke-width: 1.25; stroke-opacity: 0.75; }
  .r0 { stroke-dasharray: 6 4; } .r1 { stroke-dasharray: 2 3; } .r2 { stroke-dasharray: 10 3 2 3; }
  .diagonal { stroke: var(--muted); stroke-width: 1.25; stroke-dasharray: 1 4; stroke-linecap: round; }
  @media (max-width: 44rem) {
    main { grid-template-columns: minmax(0, 1fr); }
    figure.full svg { min-width: 36rem; }
    td.left { min-width: 6rem; }
  }
  @page { margin: 16mm; }
  @media print {
    body { font-size: 10.5pt; max-width: none; padding: 0; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
    main { display: block; }
    main > * { margin-top: 1rem; }
    main > .half { display: inline-block; margin-right: 1%; vertical-align: top; width: 49%; }
    figure, .scroll, pre { overflow: visible; }
    pre { white-space: pre-wrap; }
  }
  """
