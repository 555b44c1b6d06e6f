/**
 * The strip on top, on every view: who we are, the link in words, what the ER has seen and wants.
 */
import { html } from "/static/shared/view.js";
import { durationInWords, now, timeOfDay } from "/static/shared/clock.js";
import { Delivery } from "/static/shared/delivery.js";
import { t } from "/static/shared/i18n.js";
import { Preferences } from "/static/shared/theme.js";

/** @typedef {import("./state.js").TabletState} TabletState */
/** @typedef {import("./state.js").Link} Link */

const SIGNS = {
  ok: "M5 0.5A4.5 4.5 0 1 1 5 9.5 4.5 4.5 0 1 1 5 0.5Z",
  off: "M0.5 2 2 0.5 5 3.5 8 0.5 9.5 2 6.5 5 9.5 8 8 9.5 5 6.5 2 9.5 0.5 8 3.5 5Z",
};

/** The agent asks dispatch for its time every 10 s (onboard/link.py): two answers in a row did not come. */
const HUB_SILENT_MS = 25_000;

/** @param {{state: TabletState}} props */
export function Strip({ state }) {
  const unit = state.unit.value;
  const run = state.run.value.state;
  return html`<header class="strip">
    <div class="strip-unit"><h1 class="clip">${unit?.label ?? "Forerun"}</h1>
      <span class="muted">${t(`run.${run}`)}</span></div>
    <${LinkWords} link=${state.link.value} asked=${state.socket.link.value.state === "live"} />
    <${Receiver} state=${state} />
    <time class="number strip-clock">${timeOfDay(now.value)}</time>
    <${Preferences} />
  </header>`;
}

/**
 * Connected is not heard: the broker may live while dispatch does not.
 * @param {Link} link @returns {number | null} since when dispatch does not answer, ms; null while it does
 */
export function silentSince({ connected, answered_ms: answered, since_ms: since }) {
  const heard = Math.max(answered ?? 0, since);
  return connected && now.value - heard > HUB_SILENT_MS ? heard : null;
}

/** @param {{link: Link | null, asked: boolean}} props `asked`: whether the page hears its own agent */
function LinkWords({ link, asked }) {
  if (!link) return html`<div class="strip-part"></div>`;
  const silent = asked ? silentSince(link) : null;
  const lost = !link.connected || silent !== null;
  const head = silent !== null ? t("strip.hub_silent", { time: timeOfDay(silent) })
    : link.connected
      ? t(link.uplink ? "strip.connected_by" : "strip.connected",
          { uplink: link.uplink, lasting: durationInWords(now.value - link.since_ms) })
      : t("strip.not_connected", { time: timeOfDay(link.since_ms) });
  return html`<div class="strip-part live ${lost ? "lost" : ""}" role="status">
    <svg viewBox="0 0 10 10" aria-hidden="true"><path d=${SIGNS[lost ? "off" : "ok"]} /></svg>
    <div><strong>${link.refused ? t("strip.refused") : head}</strong>
      <div class="small">${link.refused ?? waiting(link)}</div></div></div>`;
}

/** @param {Link} link */
function waiting(link) {
  if (!link.waiting || link.oldest_ms === null) return t("strip.nothing_waits");
  const age = durationInWords(now.value - link.oldest_ms);
  const words = t("strip.waiting", { count: link.waiting, age });
  return link.connected && silentSince(link) === null ? words : `${words} ${t("strip.kept")}`;
}

/** Who receives, what they have seen, what they want. @param {{state: TabletState}} props */
function Receiver({ state }) {
  const open = state.case.value;
  if (!open) return html`<div class="strip-part">${t("strip.no_case")}</div>`;
  const { hospital } = open;
  if (!hospital) return html`<div class="strip-part"><strong>${t("strip.no_hospital")}</strong></div>`;
  const alert = state.alert.value;
  const wish = wishOf(open);
  return html`<div class="strip-part receiver"><div>
    <strong class="clip">${hospital.name}</strong>
    <div class="small">${alert ? html`${t("strip.alert")} <${Way} of=${alert} />` : t("strip.no_alert")}</div>
    ${wish && html`<div class="small wish clip">${t("strip.wants", { text: wish })}</div>`}
  </div></div>`;
}

/**
 * The receiving hospital's last word: what it wants on arrival.
 * @param {import("./state.js").Case} open @returns {string | undefined}
 */
export function wishOf(open) {
  const said = open.timeline.findLast((line) => line.kind === "case_note" && !line.own
    && line.source === open.hospital?.hospital);
  return said?.body.text;
}

/** How far a fact has come, with what was refused said in words. @param {{of: import("./state.js").Delivered}} props */
export function Way({ of }) {
  if (of.delivery === "refused") {
    return html`<strong class="refused">✕ ${t("delivery.refused_because", { why: of.refusal ?? "" })}</strong>`;
  }
  return html`<${Delivery} state=${of.delivery} role=${of.seen_by} />`;
}
