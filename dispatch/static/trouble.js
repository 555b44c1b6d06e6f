/**
 * The bar that says what of the hub itself does not work. The link to the hub lives, so nothing is greyed:
 * what is shown is true, but what is done here may reach nobody.
 */
import { html } from "/static/shared/view.js";
import { timeOfDay } from "/static/shared/clock.js";
import { hasText, t } from "/static/shared/i18n.js";

/** @typedef {{part: string, text: string, since_ms: number}} Trouble */

/** @param {{state: import("./state.js").ConsoleState}} props */
export function TroubleBar({ state }) {
  const troubles = state.trouble.value;
  if (!troubles.length || state.socket.link.value.state !== "live") return null; // the link's own bar stands
  return html`<div class="not-live trouble" role="alert">${troubles.map((one) => html`<div key=${one.part}>${words(one)}</div>`)}</div>`;
}

/** @param {Trouble} trouble */
function words({ part, text, since_ms: sinceMs }) {
  const key = hasText(`trouble.${part}`) ? `trouble.${part}` : "trouble.other";
  return t(key, { part, text, time: timeOfDay(sinceMs) });
}
