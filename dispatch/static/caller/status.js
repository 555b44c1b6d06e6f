/** Where the call and the help stand, as the hub's facts say: never that somebody reads when nobody does. */
import { html } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";

/** @typedef {{call: "none" | "ringing" | "seen" | "waits" | "held" | "read" | "calling" | "lost" | "over" | "ended", help: "none" | "assigned" | "under_way" | "there", place: boolean}} Stands */

/** @type {Record<Stands["call"] | "cut" | "connecting", string>} */
const SIGNS = { none: "○", ringing: "☎", seen: "◐", waits: "☎", held: "‖", read: "●", calling: "↗", lost: "↩", over: "✕", ended: "✕", cut: "✕", connecting: "…" };
/** Nobody reads, and it is for the caller to do something about it. @type {(string | undefined)[]} */
export const ALONE = ["lost", "over", "ended", "cut"];

/** @param {{writing: import("./writing.js").Writing}} props */
export function Status({ writing }) {
  const stands = writing.status.value;
  // Without a connection nothing is known of who reads now; that help was sent stays true.
  const call = writing.isCut ? "cut" : stands?.call ?? "connecting";
  const help = stands?.help ?? "none";
  return html`<div class="status ${ALONE.includes(call) ? "wrong" : ""}" role="status" data-call=${call} data-help=${help}>
    <span class="sign" aria-hidden="true">${SIGNS[call]}</span><strong>${t(`status.${call}`)}${call === "cut" && html` <${OrCall} place=${writing.dialled.value} />`}</strong>
    ${help !== "none" && html`<span class="sign" aria-hidden="true">✚</span><strong>${t(`help.${help}`)}</strong>`}
    ${help !== "none" && help !== "there" && !stands?.place && html`<span class="sign" aria-hidden="true">⚠</span><strong data-place="unknown">${t("help.no_place")}</strong>`}</div>`;
}

/** Where else help is: a telephone's number, or the page that opens a new call. @param {{place: string}} props */
export function OrCall({ place }) {
  if (!place) return null;
  const isPage = place.startsWith("/");
  return html`<a class="call" href=${isPage ? place : `tel:${place.replaceAll("#", "%23")}`}>${isPage ? `↻ ${t("here.again_page")}` : `☎ ${place}`}</a>`;
}
