/**
 * The crew's tablet: a strip that always tells the truth about link and ER, five views, a bar.
 * Keys 1 to 5 change the view.
 */
import { effect, html, render, signal } from "/static/shared/view.js";
import { loadMessages, t } from "/static/shared/i18n.js";
import { LinkBar } from "/static/shared/status_bar.js";
import { AlertView } from "./alert.js";
import { BayView } from "./bay.js";
import { CallView } from "./call.js";
import { DiskNote } from "./disk.js";
import { NavigateView } from "./navigate.js";
import { PatientView } from "./patient.js";
import { QualityNote } from "./quality.js";
import { TabletState } from "./state.js";
import { Strip } from "./strip.js";
import { VitalsView } from "./vitals.js";

/** Name, view and picture (in a box of 24 by 24) of each place in the bar. */
const VIEWS = /** @type {const} */ ([
  ["call", CallView, "M6 2h4l2 6-3 2c1 2 3 4 5 5l2-3 6 2v4c0 2-2 4-4 4C9 21 3 13 2 6c0-2 2-4 4-4Z"],
  ["patient", PatientView, "M12 2a5 5 0 1 1 0 10 5 5 0 0 1 0-10ZM3 22c0-6 4-8 9-8s9 2 9 8Z"],
  ["vitals", VitalsView, "M1 13h5l2-4 3 10 4-16 3 10h5v2h-7l-1-3-4 15-4-11-1 2H1Z"],
  ["alert", AlertView, "M12 2 23 21H1ZM11 8v7h2V8Zm0 9v2h2v-2Z"],
  ["navigate", NavigateView, "M12 1 20 22 12 17.5 4 22Z"],
]);

/** @typedef {typeof VIEWS[number][0] | "bay"} ViewName */

/** @returns {ViewName} */
function viewOfAddress() {
  const name = location.hash.slice(2);
  return name === "bay" ? name : VIEWS.find(([known]) => known === name)?.[0] ?? "call";
}

const view = signal(viewOfAddress());
addEventListener("hashchange", () => { view.value = viewOfAddress(); });

addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLElement && event.target.closest("input, textarea, select");
  const found = VIEWS[Number(event.key) - 1];
  if (found && !typing && !event.ctrlKey && !event.altKey && !event.metaKey) {
    location.hash = `#/${found[0]}`;
  }
});

/** @param {{state: TabletState}} props */
function Page({ state }) {
  const name = view.value;
  const View = name === "bay" ? BayView : (VIEWS.find(([known]) => known === name) ?? VIEWS[0])[1];
  return html`
    <${LinkBar} socket=${state.socket} />
    <${Strip} state=${state} />
    <${DiskNote} state=${state} />
    <${QualityNote} state=${state} />
    <main class="view ${name}" aria-label=${t(`tablet.${name}`)}><${View} state=${state} /></main>
    <${Problem} state=${state} />
    <${Bar} state=${state} current=${name} />`;
}

/** What became of the last tap, if it was not done. @param {{state: TabletState}} props */
function Problem({ state }) {
  const text = state.problem.value;
  if (!text) return null;
  return html`<div class="problem" role="alert"><span>${text}</span>
    <button onClick=${() => { state.problem.value = ""; }}>${t("tablet.understood")}</button></div>`;
}

/** @param {{state: TabletState, current: ViewName}} props */
function Bar({ state, current }) {
  return html`<nav class="bar" aria-label=${t("tablet.views")}>
    ${VIEWS.map(([name, , path]) => html`<a key=${name} href=${`#/${name}`}
        aria-current=${name === current ? "page" : undefined}>
      <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${path} fill-rule="evenodd" /></svg>
      <span>${t(`tablet.${name}`)}</span>${badge(state, name)}</a>`)}</nav>`;
}

/** What waits for the crew behind a place of the bar. @param {TabletState} state @param {typeof VIEWS[number][0]} name */
function badge(state, name) {
  const failed = state.sensors.value.some((one) => one.state === "failed");
  const wanted = {
    call: state.run.value.state === "assigned" || state.run.value.waiting.length > 0,
    patient: false,
    vitals: failed,
    alert: state.alert.value?.delivery === "refused",
    navigate: false,
  }[name];
  return wanted ? html`<span class="badge" title=${t("tablet.look_here")}>!</span>` : null;
}

await loadMessages("/static/page/messages/", "/static/shared/caller_video/messages/");
const state = new TabletState();
effect(() => {
  const unit = state.unit.value?.label;
  document.title = unit ? `${unit} · Forerun` : "Forerun";
});
render(html`<${Page} state=${state} />`, /** @type {HTMLElement} */ (document.getElementById("page")));
