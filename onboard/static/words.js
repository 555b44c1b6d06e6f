/** Short words that several views share. */
import { t } from "/static/shared/i18n.js";

/**
 * Who, as it is said on the radio: "Male, about 60".
 * @param {string | undefined} sex @param {number | undefined | null} years @param {boolean} estimate
 */
export function aboutAge(sex = "unknown", years = undefined, estimate = true) {
  const who = t(`sex.${sex}`);
  if (years === undefined || years === null) return t("who.no_age", { who });
  if (years === 0) return t("who.infant", { who });
  return t(estimate ? "who.about" : "who.exact", { who, years });
}
