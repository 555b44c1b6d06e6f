/**
 * The hospital's page: the arrival board at `/`, a patient at `/#/case/ID` (`/#/case/ID/LABEL` where
 * a case has several), the hand-over at the bay at `/#/bay`.
 */
import { html, render, signal, useEffect } from "/static/shared/view.js";
import { t, loadMessages } from "/static/shared/i18n.js";
import { MissingLine } from "/static/shared/missing_line.js";
import { LinkBar } from "/static/shared/status_bar.js";
import { durationInWords, now, timeOfDay } from "/static/shared/clock.js";
import { BayPage } from "./bay_page.js";
import { Board } from "./board.js";
import { PatientPage } from "./patient_page.js";
import { ArrivalState } from "./state.js";

/** @typedef {{case: string, label: string | null} | "bay" | null} Place */
const place = signal(/** @type {Place} */ (readPlace()));

/** @returns {Place} */
function readPlace() {
  if (location.hash === "#/bay") return "bay";
  const found = /^#\/case\/([0-9A-Z]{26})(?:\/(.*))?$/.exec(location.hash);
  return found ? { case: found[1], label: found[2] ? decodeURIComponent(found[2]) : null } : null;
}

addEventListener("hashchange", () => {
  place.value = readPlace();
});

/** @param {{state: ArrivalState}} props */
function Page({ state }) {
  const at = place.value;
  useEffect(() => {
    const label = state.hospital.value?.label ?? "";
    document.title = `${t("board.title")} · ${label}`;
  });
  return html`<${LinkBar} socket=${state.socket} lostBefore=${isCutOff(state) ? state.upstream.value.since_ms : null} /><${UpstreamBar} state=${state} />
    <${MissingLine} missing=${state.missing.value} nameOf=${() => t("who.hub")} />
    <${AnswerLine} state=${state} />
    ${at === "bay" ? html`<${BayPage} state=${state} />` : at ? html`<${PatientPage} state=${state} caseId=${at.case} label=${at.label} />`
      : html`<${Board} state=${state} />`}`;
}

/** Whether the gateway was cut off from the hub when the page last heard of it. @param {ArrivalState} state */
function isCutOff(state) {
  return ["no_broker", "hub_silent"].includes(state.upstream.value.state);
}

/**
 * The page's own link may live while the gateway is cut off from the hub: shouted just the same.
 * @param {{state: ArrivalState}} props
 */
function UpstreamBar({ state }) {
  const { state: name, since_ms: since } = state.upstream.value;
  const lost = state.socket.link.value.state === "live" && isCutOff(state);
  useEffect(() => {
    document.documentElement.dataset.upstream = lost ? "lost" : "live";
  }, [lost]);
  if (!lost) return null;
  return html`<div class="not-live" role="alert">${t(`upstream.${name}`, {
    time: timeOfDay(since), duration: durationInWords(now.value - since),
  })}</div>`;
}

/** What the server said to the last click, if it could not be done. @param {{state: ArrivalState}} props */
function AnswerLine({ state }) {
  const problem = state.problem.value;
  if (!problem) return null;
  return html`<div class="answer-problem" role="alert">${problem}
    <button onClick=${() => { state.problem.value = ""; }}>${t("answer.close")}</button></div>`;
}

await loadMessages("/static/page/messages/", "/static/shared/caller_video/messages/");
const state = new ArrivalState();
render(html`<${Page} state=${state} />`, /** @type {HTMLElement} */ (document.getElementById("page")));
// For tests and for a person with the developer tools: what the page knows, nothing more.
Object.assign(window, { forerun: { state } });
