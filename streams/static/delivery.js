/**
 * How far an action has come: ○ made here, ◐ delivered, ● seen by (role).
 *
 *     html`<${Delivery} state="seen" role="charge nurse" />`
 */
import { html } from "./view.js";
import { t } from "./i18n.js";

/** @typedef {"made" | "delivered" | "seen"} DeliveryState */

/**
 * @param {{state: DeliveryState, role?: string, words?: boolean}} props `words: false` keeps the
 *   words for screen readers and as a tool tip only
 */
export function Delivery({ state, role, words = true }) {
  const text = state === "seen" && role ? t("delivery.seen_by", { role }) : t(`delivery.${state}`);
  return html`<span class="delivery ${state}" title=${text}>
    <svg viewBox="0 0 12 12" aria-hidden="true">
      <circle cx="6" cy="6" r="5" fill=${state === "seen" ? "currentColor" : "none"}
        stroke="currentColor" stroke-width="1.5" />
      ${state === "delivered" && html`<path d="M6 1A5 5 0 0 0 6 11Z" fill="currentColor" />`}
    </svg>
    <span class=${words ? "" : "visually-hidden"}>${text}</span></span>`;
}
