/** The console's words: sex and age, reasons, how an arrival was estimated, the lines of the timeline. */
import { callerVideoWords } from "/static/shared/caller_video_words.js";
import { hasText, language, t } from "/static/shared/i18n.js";
import { distance, word } from "/static/shared/words.js";
import { reasonWords } from "./partner_form.js";
import { linkWords, withDeviceTime } from "/static/shared/link_words.js";
import { incidentWords } from "./incident_words.js";
import { qualityWords } from "/static/shared/quality_words.js";

/** @typedef {import("./state.js").Case} Case */
/** @typedef {import("./state.js").Entry} Entry */

/** @param {Case} of @returns {string} "M ~60" */
export function sexAndAge({ sex, age_years: age, age_is_estimate: estimate }) {
  const sexWord = sex === "unknown" ? "" : t(`sex.short.${sex}`);
  const ageWord = age == null ? "" : `${estimate ? "~" : ""}${age}`;
  return [sexWord, ageWord].filter(Boolean).join(" ") || t("sex.short.unknown");
}

/** @param {import("./state.js").Suggestion} one @returns {string} the reason, in one line */
export function reasonOf(one) {
  const why = one.why.map((code) => (hasText(`why.${code}`) ? t(`why.${code}`, one.figures) : code));
  if (one.drive_s === null) return why.join(" · ");
  const minutes = Math.max(1, Math.round(one.drive_s / 60));
  return [...why, t(one.by_road ? "why.way_road" : "why.way", { distance: distance(one.distance_m), minutes })].join(" · ");
}

/**
 * How an arrival was estimated, in the page's language; the hub's own words where they are new.
 * @param {string} method such as "road, by the scene" or "straight line x 1.3 at 40 km/h, by the scene"
 */
export function methodWords(method) {
  const found = /^(?:road|straight line x ([\d.]+) at (\d+) km\/h)(?:, (by|from) the scene)?$/.exec(method);
  if (!found) return method;
  const [, detour, speed, scene] = found;
  const how = detour ? t("eta.straight", { detour, speed }) : t("eta.road");
  return how + (scene ? t(`eta.${scene}_scene`) : "");
}

/** @param {Entry} entry @param {(name: string) => string} label name for people of a unit or hospital */
export function entryWords({ kind, data, source }, label) {
  const because = data.reason ? t("entry.because", { reason: data.reason }) : "";
  switch (kind) {
    case "case_opened": return t("entry.case_opened", { what: data.complaint || t("case.no_complaint") });
    case "case_amended": return t("entry.case_amended", { what: amended(data) });
    case "unit_assigned": return t("entry.unit_assigned", { unit: label(data.unit) })
      + (data.recommended ? t("entry.instead_of", { best: label(data.recommended) }) : "") + because;
    case "unit_released": return t("entry.unit_released", { unit: label(data.unit) }) + because;
    case "hospital_chosen": return t("entry.hospital_chosen", { hospital: data.name }) + because;
    case "hospital_stood_down": return t("entry.hospital_stood_down", { hospital: label(data.hospital) }) + because;
    case "call_step": return callWords(data) + because;
    case "caller_message": return t(`entry.message_${data.state}`,
      { number: data.number, seat: data.seat, text: data.text || t("call.position_link") }) + because;
    case "guidance_step": return t(`entry.guide_${data.act}`, { what: data.text?.[language.value === "zh-CN" ? "zh" : "en"] ?? "" }) + because;
    case "guidance_mark": return t(data.withdrawn ? "entry.mark_withdrawn" : "entry.mark", { mark: word("mark", data.mark) }) + because;
    case "caller_video": return callerVideoWords(data, label);
    case "text_channel": return t(`entry.text_channel_${data.state}`);
    case "caller_profile": return data.needs.length
      ? t("entry.caller_profile", { needs: data.needs.map((/** @type {string} */ need) => word("need", need)).join(", ") }) : t("entry.caller_profile_none");
    case "case_linked": return t(!data.linked ? "entry.unlinked" : data.is_duplicate ? "entry.goes_on" : "entry.linked",
      { other: label(data.other) }) + because;
    case "location_refused": return t("entry.location_refused", { source: word("source", data.source), field: data.field, text: data.text });
    case "partner_told": return partnerWords(data);
    case "partner_answered": return t("entry.partner_answered", { partner: data.name, status: word("partner_status", data.status) })
      + (data.note ? `: ${data.note}` : "");
    case "case_shared": case "case_unshared":
      return t(`entry.${kind}_${data.why}`, { district: label(data.region), seat: data.seat || "?" });
    case "unit_asked": case "unit_unasked":
      return t(`entry.${kind}`, { unit: data.label || data.unit, district: label(data.region) }) + because;
    case "unit_answered": case "unit_lent":
      return t(`entry.${kind}_${data.accepted ? "yes" : "no"}`, { unit: data.label || data.unit, district: label(data.region), seat: data.seat || "?" }) + because;
    case "case_closed": return t("entry.case_closed", { outcome: word("outcome", data.outcome) })
      + (data.text ? `: ${data.text}` : "");
    case "case_note": return data.text;
    case "milestone": return word("stage", data.stage);
    case "pre_alert": return t("entry.pre_alert", {
      pathway: word("pathway", data.pathway), severity: word("severity", data.severity) });
    case "acknowledged": return t("entry.acknowledged", { role: word("role", data.role), hospital: label(data.hospital) });
    case "run_started": return t("entry.run_started", { unit: label(source) });
    case "run_ended": return t("entry.run_ended", { unit: label(source) });
    case "ecg_started": return t("entry.ecg_started", { leads: data.leads.length });
    case "ecg_ended": return t("entry.ecg_ended", { samples: data.samples });
    case "device_event": return withDeviceTime(`${data.event}: ${data.text}`, data.device_time);
    case "sensor_state": return t("entry.sensor", { sensor: data.sensor, state: word("sensor", data.state) })
      + (data.reason ? ` (${data.reason})` : "");
    case "media_state": return t(`entry.media_${data.state}`, { stream: word("stream", data.stream) });
    case "quality_step": {
      const { what, why } = qualityWords(data);
      return t("quality.line", { what, why });
    }
    default: return incidentWords(kind, data, label) ?? linkWords(kind, data) ?? kind;
  }
}

/** @param {any} data what a partner was told, in words */
function partnerWords({ state, change, name, purposes, note, with_number: withNumber, reason }) {
  if (state !== "asked") {
    return t(`entry.partner_${state}`, { partner: name }) + (reason ? t("entry.because", { reason: reasonWords(reason) }) : "");
  }
  const what = [...purposes.map((/** @type {string} */ one) => word("purpose", one)), withNumber && t("partner.with_number"), note];
  return t(`entry.partner_${change}`, { partner: name, what: what.filter(Boolean).join(" · ") });
}

/** @param {any} data the step of a call, in words */
function callWords({ step, seat, to_seat: to, number }) {
  return t(`entry.call_${step}`, { seat: seat || "?", to: to || "?", number: number || t("call.withheld") });
}

/** @param {any} data */
function amended(data) {
  const words = [];
  if (data.severity) words.push(word("severity", data.severity));
  if (data.age_years != null || data.sex) {
    words.push([data.sex && word("sex", data.sex), data.age_years].filter(Boolean).join(" "));
  }
  for (const field of ["address", "complaint", "caller"]) if (data[field]) words.push(data[field]);
  if (data.position) words.push(t("case.position"));
  return words.join(", ");
}
