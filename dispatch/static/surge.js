/** Many more calls than usual: said over the whole width, with what a seat can do about it. */
import { html } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */
const WAITING = new Set(["ringing", "held", "unattended", "lost"]);

/** @param {{state: ConsoleState}} props */
export function SurgeBar({ state }) {
  const { is_on: isOn, fixed, seat, times } = state.surge.value;
  if (!isOn) return null;
  return html`<div class="surge-bar" role="status"><span aria-hidden="true">▲▲</span>
    <span class="grow">${fixed ? t("surge.fixed", { seat }) : t("surge.on", { rate: times })}</span>
    ${state.notice.value ? html`<${Notice} state=${state} />`
      : html`<button data-key="notify" onClick=${() => { state.notice.value = { text: t("surge.text"), to: "waiting" }; }}>${t("surge.notify")} …</button>
        <button onClick=${() => state.act({ action: "set_surge", mode: "off" })}>${t("surge.stop")}</button>
        ${fixed && html`<button onClick=${() => state.act({ action: "set_surge", mode: "auto" })}>${t("surge.auto")}</button>`}`}
  </div>`;
}

/** Begins a surge by hand. @param {{state: ConsoleState}} props */
export function SurgeSwitch({ state }) {
  if (state.surge.value.is_on) return null;
  return html`<button class="small" onClick=${() => state.act({ action: "set_surge", mode: "on" })}>${t("surge.start")}</button>`;
}

/** The message to many, with how many get it: nothing leaves before that was read. @param {{state: ConsoleState}} props */
function Notice({ state }) {
  const notice = /** @type {NonNullable<ConsoleState["notice"]["value"]>} */ (state.notice.value);
  const count = new Set(state.queue.value.filter((one) => one.call?.number.startsWith("+")
    && (notice.to === "waiting" ? WAITING.has(one.call.phase) : !one.unit)).map((one) => one.call?.number)).size;
  const change = (/** @type {Partial<typeof notice>} */ part) => { state.notice.value = { ...notice, ...part }; };
  return html`<div class="notice"><textarea name="notice" maxlength="400" aria-label=${t("surge.notify")} value=${notice.text}
      onInput=${(/** @type {any} */ event) => change({ text: event.target.value })}></textarea>
    <label><select name="notice_to" value=${notice.to} onChange=${(/** @type {any} */ event) => change({ to: event.target.value })}>
      <option value="waiting">${t("surge.notify_waiting")}</option>
      <option value="without_unit">${t("surge.notify_without_unit")}</option></select></label>
    <span>${t("surge.notify_consequence", { count })}</span>
    <button class="main" disabled=${!count || !notice.text.trim() || state.isSending("notify_callers")}
      onClick=${() => state.act({ action: "notify_callers", text: notice.text, to: notice.to })}>${t("surge.notify_do", { count })}</button>
    <button onClick=${() => { state.notice.value = null; }}>${t("form.cancel")}</button></div>`;
}
