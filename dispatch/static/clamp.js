/** Text of any length that takes three lines at most: the whole of it shows under the pointer. */
import { html } from "/static/shared/view.js";

/** What certainly fits is left as it is, characters. */
const SHORT = 80;

/** @param {{text: string}} props */
export function Clamped({ text }) {
  return text.length <= SHORT ? text : html`<span class="clamped" title=${text}>${text}</span>`;
}
