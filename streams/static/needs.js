/** How one has to talk with somebody: said wherever the person is met next, with a sign and in words. */
import { html } from "./view.js";
import { t } from "./i18n.js";
import { word } from "./words.js";

/** @param {{needs: string[]}} props such as ["deaf"] */
export function NeedsMark({ needs }) {
  if (!needs.length) return null;
  return html`<strong class="needs-mark"><span aria-hidden="true">✎</span> ${t("needs.use_text", { needs: needs.map((one) => word("need", one)).join(", ") })}</strong>`;
}
