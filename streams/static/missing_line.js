/**
 * A line in words while facts are missing before later ones that came, and were asked for again;
 * and for a day after some were found to be gone: this receiver lost what it had stored of them.
 *
 *     html`<${MissingLine} missing=${state.missing.value} nameOf=${(source) => …} />`
 */
import { html } from "./view.js";
import { durationInWords, now } from "./clock.js";
import { t } from "./i18n.js";

/** @typedef {{source: string, facts: number, since_ms: number, asked_ms: number, asked: number, gone?: boolean}} Missing */

/** @param {{missing: Missing[], nameOf: (source: string) => string}} props */
export function MissingLine({ missing, nameOf }) {
  if (!missing.length) return null;
  return html`<div class="missing-line small" role="status">${missing.map((one) => html`<div key=${`${one.source} ${Boolean(one.gone)}`}>
    ${t(one.gone ? (one.source === "hub" ? "missing.gone_hub" : "missing.gone") : "missing.line", { facts: one.facts, who: nameOf(one.source), ago: durationInWords(now.value - (one.gone ? one.since_ms : one.asked_ms)) })}</div>`)}</div>`;
}
