/**
 * The look of a report, light, dark and printed. Everything stands under .lors-report, so that it can be part of a page.
 * The colours of curves are told apart by people with any one kind of cones missing (after Okabe and Ito, "Color universal
 * design", 2008), darkened or lightened until each has a contrast of 3 to its background; shapes tell the same.
 */

/** Colours of curves by the background that they stand on. */
export const PALETTE = {
  light: { paper: '#ffffff', series: ['#0064a8', '#c44601', '#00815c', '#9b4f96', '#946b00', '#2b7f9e', '#5b5b5b', '#7a1f3d'] },
  dark: { paper: '#14171a', series: ['#58a6e8', '#ff8243', '#2fc79a', '#d993cf', '#e8b13a', '#7fd3ee', '#b8b8b8', '#ff8fa8'] },
} as const;

const light = `color-scheme: light; --paper: ${PALETTE.light.paper}; --ink: #1b1f23; --soft: #57606a; --rule: #d4d9de; --band: #f4f6f8; --accent: #0064a8; --gain: #00663f; --loss: #a33a00; ${series(PALETTE.light.series)}`;
const dark = `color-scheme: dark; --paper: ${PALETTE.dark.paper}; --ink: #e8eaed; --soft: #a4adb6; --rule: #3a4148; --band: #1e2327; --accent: #7cc0f5; --gain: #5fd6a4; --loss: #ff9e6b; ${series(PALETTE.dark.series)}`;

function series(colours: readonly string[]): string {
  return colours.map((colour, i) => `--series-${i}: ${colour};`).join(' ');
}

/** The style sheet of a report. */
export const STYLE = `
.lors-report { ${light} }
@media (prefers-color-scheme: dark) { .lors-report { ${dark} } }
.lors-report { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; padding: 1rem clamp(0.75rem, 3vw, 2.5rem) 3rem; overflow-wrap: break-word; }
.lors-report > * { max-width: 100rem; margin-inline: auto; }
.lors-report *, .lors-report { box-sizing: border-box; }
.lors-report h1 { font-size: clamp(1.4rem, 4vw, 2rem); line-height: 1.2; margin: 0.5rem 0; }
.lors-report h2 { font-size: 1.25rem; margin: 2.2rem 0 0.5rem; }
.lors-report p, .lors-report figcaption, .lors-report dl { max-width: 75ch; }
.lors-report p { margin: 0.5rem 0; }
.lors-report .machine, .lors-report figcaption, .lors-report small, .lors-report output, .lors-report dd { color: var(--soft); }
.lors-report figure { margin: 0; }
.lors-report figcaption { font-size: 0.875rem; margin-top: 0.5rem; }
.lors-report .panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
.lors-report [data-plot='quality'] { grid-template-columns: minmax(0, 60rem); }
.lors-report .panels h3 { font-size: 0.95rem; margin: 0.5rem 0 0; }
.lors-report .panels svg { display: block; max-width: 100%; height: auto; overflow: visible; background: none; font: 12px system-ui, sans-serif; --plot-background: var(--paper); }
.lors-report .keys { display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; list-style: none; margin: 0 0 0.5rem; padding: 0; font-size: 0.875rem; grid-column: 1 / -1; }
.lors-report .keys svg { display: inline-block; vertical-align: -2px; margin-right: 0.35rem; }
.lors-report .filters { position: sticky; top: 0; z-index: 2; background: var(--paper); display: flex; flex-wrap: wrap; align-items: end; gap: 0.4rem 0.8rem; padding: 0.6rem 0; margin-top: 1.5rem; border-bottom: 1px solid var(--rule); }
.lors-report [hidden] { display: none; }
.lors-report label { font-size: 0.8rem; color: var(--soft); display: grid; }
.lors-report select, .lors-report button { font: inherit; font-size: 0.9rem; min-height: 2rem; max-width: 10rem; color: var(--ink); background: var(--band); border: 1px solid var(--rule); border-radius: 4px; padding: 0.15rem 0.5rem; }
.lors-report button { cursor: pointer; max-width: none; }
.lors-report :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.lors-report output { font-size: 0.875rem; }
.lors-report .scroll { overflow-x: auto; margin: 0.75rem 0; }
.lors-report .scroll.tall { overflow: auto; max-height: 85vh; border: 1px solid var(--rule); }
.lors-report table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
.lors-report caption { text-align: left; color: var(--soft); padding-bottom: 0.3rem; }
.lors-report th, .lors-report td { padding: 0.2rem 0.6rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--rule); font-weight: normal; }
.lors-report thead th { font-weight: 600; }
.lors-report td:last-child:not(:nth-child(-n + 3)) { white-space: nowrap; }
.lors-report details td { white-space: normal; min-width: 12rem; }
.lors-report .tall thead th { position: sticky; top: 0; background: var(--band); padding: 0; }
.lors-report .tall thead button { width: 100%; border: 0; border-radius: 0; background: none; font-weight: 600; text-align: left; white-space: nowrap; outline-offset: -2px; }
.lors-report .tall thead th:not(:has(button)) { padding: 0.3rem 0.6rem; }
.lors-report thead button::after { content: ' ↕'; color: var(--soft); }
.lors-report [aria-sort='ascending'] button::after { content: ' ↑'; color: var(--accent); }
.lors-report [aria-sort='descending'] button::after { content: ' ↓'; color: var(--accent); }
.lors-report tbody tr:hover { background: var(--band); }
.lors-report .noisy td { color: var(--soft); font-style: italic; }
.lors-report .gain { color: var(--gain); font-weight: 600; }
.lors-report .loss { color: var(--loss); }
.lors-report pre { overflow-x: auto; background: var(--band); padding: 0.75rem; font-size: 0.8rem; }
.lors-report textarea { width: 100%; height: 8rem; font: 0.8rem monospace; }
.lors-report dt { font-weight: 600; float: left; clear: left; margin-right: 0.5rem; }
.lors-report dd { margin: 0 0 0.2rem; }
.lors-report summary { cursor: pointer; }
@page wide { size: landscape; }
@media print {
  .lors-report { ${light} padding: 0; font-size: 11pt; }
  .lors-report .filters, .lors-report .tools { display: none; }
  .lors-report .scroll, .lors-report .scroll.tall { overflow: visible; max-height: none; border: 0; }
  .lors-report .rows { page: wide; }
  .lors-report .rows table { font-size: 5.5pt; width: 100%; }
  .lors-report .rows th, .lors-report .rows td, .lors-report .rows button { padding: 1px 2px; font-size: inherit; min-height: 0; }
  .lors-report thead button::after { content: none; }
  .lors-report .tall thead th { position: static; }
  .lors-report .panels { grid-template-columns: 1fr 1fr; }
  .lors-report .panels > *, .lors-report figure, .lors-report tr { break-inside: avoid; }
}
`;
