/** What has just happened with a caller and must not be missed: at the top of the case, until it was seen. */
import { html, signal } from "/static/shared/view.js";
import { timeOfDay } from "/static/shared/clock.js";
import { videoReason } from "/static/shared/caller_video_words.js";
import { t } from "/static/shared/i18n.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */

/** What this page has put aside: ids of facts, and of videos with their moment. */
const seen = signal(/** @type {Set<string>} */ (new Set()));

/** Steps of the caller's video that a seat is told of, and whether one has to do something. */
const VIDEO = /** @type {Record<string, boolean>} */ ({ on: false, refused: true, withdrawn: true, stopped: false });

/** @param {{one: Case, state: ConsoleState}} props */
export function CaseAlerts({ one, state }) {
  if (one.closed_ms) return null;
  return html`<${MessageTrouble} one=${one} state=${state} /><${VideoLine} one=${one} state=${state} />`;
}

/**
 * The message to the caller that was asked for last, where it did not go out, and what to do then.
 * @param {{one: Case, state: ConsoleState}} props
 */
export function MessageTrouble({ one, state }) {
  const last = state.detail.value?.entries.findLast((entry) => entry.kind === "caller_message");
  if (last?.data.state !== "failed" || seen.value.has(last.id)) return null;
  const why = messageReason(last.data.reason ?? "");
  return html`<p class="case-alert wrong" data-alert="message" role="alert"><span class="grow"><strong>✉ ${t("alert.message_failed", { number: last.data.number, time: timeOfDay(last.at_ms) })}</strong>
    ${" "}${why} ${t(one.call?.line === "voice" ? "alert.message_voice" : "alert.message_text")}</span><${Seen} id=${last.id} /></p>`;
}

/** What the caller, or somebody else, did with the video. @param {{one: Case, state: ConsoleState}} props */
function VideoLine({ one, state }) {
  const video = state.detail.value?.caller_video;
  const id = `${one.id} ${video?.phase} ${video?.since_ms}`;
  if (!video || !(video.phase in VIDEO) || seen.value.has(id)) return null;
  const failed = video.phase === "refused" && video.reason;
  const words = t(`alert.video_${failed ? "failed" : video.phase}`, { time: timeOfDay(video.since_ms), who: video.who || t("who.dispatch") });
  return html`<p class="case-alert ${VIDEO[video.phase] ? "wrong" : ""}" data-alert="video" data-video=${failed ? "failed" : video.phase} role="status">
    <span class="grow"><strong>▶ ${words}</strong> ${video.phase === "on" ? "" : videoReason(video.reason)}</span><${Seen} id=${id} /></p>`;
}

/** @param {{id: string}} props */
function Seen({ id }) {
  return html`<button class="small" onClick=${() => { seen.value = new Set(seen.value).add(id); }}>${t("problem.seen")}</button>`;
}

/** Why a message did not go out, in the page's language; the sender's own words where they are new. @param {string} reason */
function messageReason(reason) {
  const status = /answered (\d+)/.exec(reason);
  if (status) return t("alert.gateway_refused", { status: status[1] });
  if (reason.startsWith("no message gateway")) return t("alert.gateway_none");
  return reason.startsWith("the gateway does not answer") ? t("alert.gateway_silent") : reason;
}
