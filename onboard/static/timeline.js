/** The case's facts as a timeline in the crew's words. */
import { html } from "/static/shared/view.js";
import { callerVideoWords } from "/static/shared/caller_video_words.js";
import { guideWords } from "/static/shared/guide_words.js";
import { t } from "/static/shared/i18n.js";
import { linkWords } from "/static/shared/link_words.js";
import { Timeline } from "/static/shared/timeline.js";
import { word } from "/static/shared/words.js";
import { aboutAge } from "./words.js";

/** @typedef {import("./state.js").Line} Line */

/** @param {{open: import("./state.js").Case}} props */
export function CaseTimeline({ open }) {
  const entries = open.timeline.map((line) => ({
    id: line.id,
    atMs: line.at_ms,
    text: words(line),
    who: whoSaid(line, open),
    notedAtMs: line.noted_ms,
    delivery: line.own && line.delivery !== "refused" ? line.delivery : undefined,
    seenBy: line.seen_by,
    synthetic: line.origin === "synthetic",
  }));
  return html`<div class="scroll" tabindex="0"><${Timeline} entries=${entries} /></div>`;
}

/** @param {Line} line @param {import("./state.js").Case} open */
function whoSaid({ own, source }, open) {
  if (own) return t("who.crew");
  if (source === "hub") return t("who.hub");
  return source === open.hospital?.hospital ? open.hospital.name : source;
}

/** @param {Line} line */
function words({ kind, body, delivery }) {
  const refused = delivery === "refused" ? ` ✕ ${t("delivery.refused")}` : "";
  switch (kind) {
    case "case_note": return body.text + refused;
    case "milestone": return t(body.corrects ? "line.corrected" : "line.stamped",
      { stage: t(`stage.${body.stage}`) }) + refused;
    case "pre_alert": return t("line.alert", { pathway: t(`pathway.${body.pathway}`),
      who: aboutAge(body.sex, body.age_years, body.age_is_estimate ?? true) }) + refused;
    case "hospital_chosen": return t("line.hospital", { name: body.name });
    case "bay_handover": return t("line.bay_handover", { facts: body.facts });
    case "acknowledged": return t("line.seen", { role: body.role });
    case "partner_answered": return t("line.partner", { name: body.name, status: word("partner_status", body.status) })
      + (body.note ? `: ${body.note}` : "");
    case "text_turn": return t(`line.text_${body.who}`, { text: body.text });
    case "guidance_step": return guideWords(body);
    case "caller_video": return callerVideoWords(/** @type {any} */ (body), (name) => name);
    case "guidance_mark": return t(body.withdrawn ? "line.mark_withdrawn" : "line.mark", { mark: t(`mark.${body.mark}`) });
    case "caller_profile": return body.needs.length
      ? t("needs.use_text", { needs: body.needs.map((/** @type {string} */ one) => word("need", one)).join(", ") }) : t("line.no_needs");
    case "video_recording": return linkWords(kind, body) ?? kind;
    case "run_ended": return t("line.run_ended", { how: word("ending", body.reason) });
    default: return t(`line.${kind}`);
  }
}
