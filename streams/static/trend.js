/**
 * Trends in a tile: the arrow and the small curve. The large chart is trend_chart.js.
 *
 * A point with value null is a gap, drawn as one: nothing is bridged or smoothed.
 */
import { html } from "./view.js";
import { t } from "./i18n.js";

/** @typedef {{atMs: number, value: number | null}} Point */
/** The arrow looks this far back, ms. */
const ARROW_WINDOW_MS = 120_000;

/**
 * Least squares slope over the last two minutes, as the change over that time.
 * @param {Point[]} history oldest first
 * @param {number} [step] the change that counts; default 5 % of the mean
 * @returns {"rising" | "falling" | "steady" | null} null with fewer than three values
 */
export function trendOf(history, step) {
  const last = history.at(-1);
  if (!last) return null;
  const recent = history.filter((p) => p.value !== null && p.atMs > last.atMs - ARROW_WINDOW_MS);
  if (recent.length < 3) return null;
  const n = recent.length;
  const meanX = recent.reduce((sum, p) => sum + p.atMs, 0) / n;
  const meanY = recent.reduce((sum, p) => sum + Number(p.value), 0) / n;
  let xy = 0;
  let xx = 0;
  for (const { atMs, value } of recent) {
    xy += (atMs - meanX) * (Number(value) - meanY);
    xx += (atMs - meanX) ** 2;
  }
  if (xx === 0) return null;
  const change = (xy / xx) * (recent[n - 1].atMs - recent[0].atMs);
  if (Math.abs(change) < (step ?? Math.abs(meanY) * 0.05)) return "steady";
  return change > 0 ? "rising" : "falling";
}

/** @param {{history: Point[], step?: number}} props */
export function TrendArrow({ history, step }) {
  const trend = trendOf(history, step);
  if (!trend) return null;
  const path = { rising: "M2 10 10 2M5 2H10V7", falling: "M2 2 10 10M5 10H10V5", steady: "M1 6H11M7 2 11 6 7 10" };
  return html`<svg class="trend-arrow ${trend}" viewBox="0 0 12 12" role="img"
    aria-label=${t(`trend.${trend}`)}><path d=${path[trend]} fill="none" stroke="currentColor"
    stroke-width="2" /></svg>`;
}

/** @param {{history: Point[], label: string, minutes?: number}} props */
export function Sparkline({ history, label, minutes = 10 }) {
  const end = history.at(-1)?.atMs ?? 0;
  const start = end - minutes * 60_000;
  const points = history.filter((p) => p.atMs >= start);
  const values = points.flatMap((p) => (p.value === null ? [] : [p.value]));
  if (values.length < 2) return null;
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  let path = "";
  let pen = "M";
  for (const { atMs, value } of points) {
    if (value === null) {
      pen = "M";
      continue;
    }
    const x = ((atMs - start) / (end - start)) * 100;
    path += `${pen}${x.toFixed(1)} ${(span ? 19 - ((value - low) / span) * 18 : 10).toFixed(1)}`;
    pen = "L";
  }
  return html`<svg class="sparkline" viewBox="0 0 100 20" preserveAspectRatio="none" role="img"
    aria-label=${t("trend.chart", { label, minutes })}><path d=${path} fill="none"
    stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke" /></svg>`;
}
