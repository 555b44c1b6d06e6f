/**
 * The case's timeline: what happened when, from whom, and how far the word of it has come.
 *
 *     html`<${Timeline} entries=${[{ id, atMs, text: "Aspirin 300 mg", who: "crew", delivery: "seen" }]} />`
 *
 * The order is by the time a thing happened; one noted later says when it was noted. New entries do
 * not push the list about under a finger: it holds still while it is touched or hovered.
 */
import { html, useRef } from "./view.js";
import { durationInWords, timeOfDay } from "./clock.js";
import { Delivery } from "./delivery.js";
import { t } from "./i18n.js";
import { Shape } from "./severity.js";

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {number} atMs when it happened, hub's clock, ms since 1970
 * @property {unknown} text words, or an element
 * @property {number | null} [lateMs] how late the word of it came, ms; without it, in time
 * @property {string} [time] "known", "estimated" afterwards, or "unknown": by a clock that was not compared yet
 * @property {string} [who] role or device that said so
 * @property {number} [notedAtMs] when it was written down, if that was later
 * @property {import("./severity.js").Level} [level]
 * @property {import("./delivery.js").DeliveryState} [delivery] @property {string} [seenBy] a role
 * @property {boolean} [synthetic]
 */

/** Later than this is called noted late, ms. */
const LATE_MS = 60_000;

/** @param {{entries: Entry[], newestFirst?: boolean}} props */
export function Timeline({ entries, newestFirst = true }) {
  const held = useRef(/** @type {Entry[] | null} */ (null));
  // What happened at the same moment stays in the order in which it was given.
  const sorted = [...entries].sort((a, b) => a.atMs - b.atMs);
  if (newestFirst) sorted.reverse();
  const shown = held.current ?? sorted;
  if (!shown.length) return html`<p class="muted">${t("timeline.empty")}</p>`;
  return html`<ol class="timeline" aria-label=${t("timeline.label")}
      onPointerEnter=${() => { held.current = sorted; }}
      onPointerLeave=${() => { held.current = null; }}>
    ${shown.map((entry) => html`<${Row} key=${entry.id} entry=${entry} />`)}</ol>`;
}

/** @param {{entry: Entry}} props */
function Row({ entry }) {
  const { atMs, notedAtMs, lateMs, time, level, delivery } = entry;
  const late = notedAtMs !== undefined && notedAtMs - atMs > LATE_MS;
  return html`<li class="timeline-row">
    <time class="number">${timeOfDay(atMs)}</time>
    <span class="timeline-text">${level && level !== "none"
        && html`<span class="timeline-mark"><${Shape} level=${level} /></span>`}${entry.text}
      ${entry.synthetic && html` <span class="muted">(${t("origin.synthetic")})</span>`}
      <span class="muted small">${[entry.who, late && t("timeline.late", { time: timeOfDay(notedAtMs) }),
        lateMs && t("timeline.came_late", { late: durationInWords(lateMs) }),
        (time === "estimated" || time === "unknown") && t(`timeline.time_${time}`)]
        .filter(Boolean).map((words) => html` · ${words}`)}</span></span>
    ${delivery && html`<${Delivery} state=${delivery} role=${entry.seenBy} words=${false} />`}
  </li>`;
}
