/**
 * The trend chart of a patient's page (uPlot): several curves over the last half hour.
 *
 *     html`<${TrendChart} series=${[{label: "HR", unit: "/min", points}]} minutes=${30} />`
 *
 * A point with value null is a gap, drawn as one. Needs values.css and vendor/uplot.css.
 */
import { html, useEffect, useRef } from "./view.js";
import { timeOfDay } from "./clock.js";
import { t } from "./i18n.js";
import { theme, token } from "./theme.js";
import uPlot from "./vendor/uplot.js";

/** @typedef {import("./trend.js").Point} Point */
/** @typedef {{label: string, unit: string, points: Point[]}} Series */
/** Units that an axis shows at least. */
const LEAST = 20;
/** Seconds that a chart shows at least. */
const LEAST_S = 60;

/**
 * One chart, one axis per unit (at most two units are readable).
 * @param {{series: Series[], minutes?: number, height?: number}} props
 */
export function TrendChart({ series, minutes = 30, height = 180 }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {uPlot | null} */ (null));
  const shape = series.map((s) => s.label + s.unit).join("|") + theme.value + height;
  const data = aligned(series, minutes);

  useEffect(() => {
    const element = /** @type {HTMLDivElement} */ (box.current);
    const made = new uPlot(chartOptions(series, element.clientWidth, height), data, element);
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => {
    plot.current?.setData(data);
  });

  const label = series.map((s) => s.label).join(", ");
  return html`<div class="trend-chart" ref=${box} role="img"
    aria-label=${t("trend.chart", { label, minutes })}></div>`;
}

/**
 * uPlot's columns: one row of times, one row of values for each series.
 * @param {Series[]} series @param {number} minutes @returns {uPlot.AlignedData}
 */
function aligned(series, minutes) {
  const end = Math.max(0, ...series.map((s) => s.points.at(-1)?.atMs ?? 0));
  const tables = series.map(({ points }) => {
    const kept = points.filter((p) => p.atMs >= end - minutes * 60_000);
    return /** @type {uPlot.AlignedData} */ ([kept.map((p) => p.atMs / 1000), kept.map((p) => p.value)]);
  });
  // Gaps (null) stay gaps; a time that only another series has is no gap.
  const modes = tables.map((table) => table.map(() => 2));
  return tables.length ? uPlot.join(tables, /** @type {uPlot.JoinNullMode[][]} */ (modes)) : [[]];
}

/**
 * Places of values without a neighbour; undefined is a time that only another series has.
 * @param {ArrayLike<number | null | undefined>} values @returns {number[]}
 */
function alone(values) {
  const own = Array.from(values, (value, place) => ({ value, place })).filter(({ value }) => value !== undefined);
  return own.filter(({ value }, at) => value !== null && own[at - 1]?.value == null && own[at + 1]?.value == null)
    .map(({ place }) => place);
}

/**
 * A steady value is a line in the middle, and noise is not blown up: an axis has at least LEAST units.
 * @param {string} unit @param {number | null} low @param {number | null} high
 * @returns {[number, number]}
 */
function reach(unit, low, high) {
  if (low === null || high === null) return [0, 100];
  const half = Math.max(LEAST, (high - low) * 1.2) / 2;
  const middle = (low + high) / 2;
  return [middle - half, unit === "%" ? Math.min(100, middle + half) : middle + half];
}

/**
 * The newest moment stands at the right end; of a single one uPlot itself would make a day.
 * @param {ArrayLike<number>} times @param {number | null} first @returns {[number, number]}
 */
function span(times, first) {
  const last = times[times.length - 1] ?? 0;
  return [Math.min(first ?? 0, last - LEAST_S), last];
}

/**
 * @param {Series[]} series @param {number} width @param {number} height
 * @returns {uPlot.Options}
 */
function chartOptions(series, width, height) {
  const units = [...new Set(series.map((s) => s.unit))];
  const ink = token("--muted");
  const grid = { stroke: token("--line"), width: 1 };
  const font = `12px ${token("--font")}`;
  return {
    width,
    height,
    cursor: { drag: { x: false, y: false } },
    scales: {
      x: { range: (plot, first) => span(plot.data[0], first) },
      ...Object.fromEntries(units.map((unit) => [unit, {
        range: (/** @type {uPlot} */ _, /** @type {number | null} */ low, /** @type {number | null} */ high) => reach(unit, low, high),
      }])),
    },
    legend: { markers: { width: 2, dash: (_, index) => ["solid", "dashed", "dotted", "dashed"][(index - 1) % 4] } },
    series: [
      { label: " ", value: (_, atS) => (atS == null ? "" : timeOfDay(atS * 1000)) },
      ...series.map((s, index) => ({
        label: `${s.label} ${s.unit}`,
        scale: s.unit,
        value: (/** @type {uPlot} */ _, /** @type {number | null} */ value) => value ?? "",
        stroke: token(`--series-${(index % 7) + 1}`),
        width: 2,
        // Colour is doubled by the dash: the second curve of a chart is dashed, and so on.
        dash: [[], [8, 4], [2, 3], [10, 3, 2, 3]][index % 4],
        // A value between two gaps has no line to either side: it is a point.
        points: { show: true, size: 5, fill: token(`--series-${(index % 7) + 1}`), 
          filter: (/** @type {uPlot} */ plot, /** @type {number} */ which) => alone(plot.data[which]) },
      })),
    ],
    axes: [
      { stroke: ink, grid, ticks: grid, font, space: 90, values: [[3600, "{HH}:{mm}", null, null, null, null, null, null, 0],
        [60, "{HH}:{mm}", null, null, null, null, null, null, 0],
        [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 0]] },
      ...units.map((unit, index) => ({
        scale: unit, stroke: ink, font, label: unit, labelSize: 16, size: 46,
        side: index ? 1 : 3, grid: index ? { show: false } : grid, ticks: grid,
      })),
    ],
  };
}
