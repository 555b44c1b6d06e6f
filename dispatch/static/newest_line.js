/** What the caller wrote last, at the foot of the case while its own place is out of view. */
import { html, useEffect, useState } from "/static/shared/view.js";
import { timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { talk } from "./talk.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */

/** So much of a long line is shown: its end, which is new. */
const SHOWN = 160;

/** @param {{one: Case, state: ConsoleState}} props */
export function NewestLine({ one, state }) {
  const [isHidden, setHidden] = useState(false);
  const stored = state.detail.value?.case === one.id ? state.detail.value.talk.turns.filter((turn) => turn.who === "caller").at(-1) : undefined;
  const live = [...talk.live.value.values()].filter((line) => line.case === one.id && line.who === "caller" && line.text).at(-1);
  const line = live ?? stored;
  useEffect(() => {
    const place = [...document.querySelectorAll(".talk .turn.caller")].at(-1);
    setHidden(false);
    if (!place) return undefined;
    const watch = new IntersectionObserver(([entry]) => setHidden(entry.intersectionRatio < 0.5), { threshold: [0, 0.5, 1] });
    watch.observe(place);
    return () => watch.disconnect();
  }, [one.id, line?.turn, line?.text]);
  if (!line || !isHidden) return null;
  const text = line.text.length > SHOWN ? `…${line.text.slice(-SHOWN)}` : line.text;
  const go = () => /** @type {HTMLElement | null} */ (document.querySelector("[data-key=talk]"))?.focus();
  return html`<button class="newest-line" aria-hidden="true" tabindex="-1" onClick=${go}><span class="muted small number">${timeOfDay(live ? live.at_ms : stored?.ended_ms ?? 0)} ${t("talk.caller")}</span>
    <strong class="said">${text}${live ? "▏" : ""}</strong> <kbd>I</kbd></button>`;
}
