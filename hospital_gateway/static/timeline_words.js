/**
 * The timeline's lines in words of the page's language.
 */
import { callerVideoWords } from "/static/shared/caller_video_words.js";
import { guideWords } from "/static/shared/guide_words.js";
import { t } from "/static/shared/i18n.js";
import { linkWords, withDeviceTime } from "/static/shared/link_words.js";
import { qualityWords } from "/static/shared/quality_words.js";
import { levelOf } from "/static/shared/severity.js";
import { word } from "/static/shared/words.js";
import { roleWord, severityWord, sexAndAge } from "./card_words.js";

/** @typedef {import("./state.js").Line} Line */

/** @type {Record<string, (said: Record<string, any>, names: Record<string, string>) => string>} */
const WORDS = {
  case_opened: (said) => t("line.case_opened", { complaint: said.complaint, address: said.address }),
  case_amended: (said) => t("line.case_amended", {
    what: [said.address, said.complaint, said.severity && severityWord(said.severity), said.age_years,
      said.sex && t(`sex.${said.sex}`), said.caller].filter((part) => part !== undefined).join(" · "),
  }),
  case_note: (said) => said.text,
  guidance_step: guideWords,
  guidance_mark: (said) => t(said.withdrawn ? "line.mark_withdrawn" : "line.mark", { mark: t(`mark.${said.mark}`) }),
  caller_video: (said, names) => callerVideoWords(/** @type {any} */ (said), (name) => names[name] ?? name),
  caller_profile: (said) => (said.needs.length
    ? t("needs.use_text", { needs: said.needs.map((/** @type {string} */ one) => word("need", one)).join(", ") }) : t("line.no_needs")),
  case_closed: (said) => [word("outcome", said.outcome), said.text].filter(Boolean).join(": "),
  unit_assigned: (said, names) => t("line.unit_assigned", { unit: names[said.unit] ?? said.unit }),
  unit_released: (said, names) => t("line.unit_released", { unit: names[said.unit] ?? said.unit }),
  patient_tagged: (said) => t("line.patient_tagged", { code: said.code, tag: word("tag", said.tag) }),
  hospital_chosen: (said) => t("line.hospital_chosen", { hospital: said.name }),
  hospital_stood_down: (said) => t("line.hospital_stood_down", { hospital: said.hospital }),
  run_started: (said) => t("line.run_started", { crew: said.crew ?? "" }),
  run_ended: (said) => t("line.run_ended", { reason: said.reason }),
  milestone: (said) => word("stage", said.stage),
  pre_alert: (said) => [t("line.pre_alert"), severityWord(said.severity), word("pathway", said.pathway),
    sexAndAge({ sex: "unknown", age_years: null, age_is_estimate: true, ...said }), said.text]
    .filter(Boolean).join(" · "),
  device_event: (said) => withDeviceTime([said.event, said.text].filter(Boolean).join(": "), said.device_time),
  sensor_state: (said) => t(`line.sensor_${said.state}`, { sensor: said.sensor, reason: said.reason ?? "" }),
  media_state: (said) => t(`line.media_${said.state}`, { stream: said.stream }),
  quality_step: (said) => {
    const { what, why } = qualityWords(/** @type {any} */ (said));
    return t("quality.line", { what, why });
  },
  ecg_started: (said) => t(`line.ecg_${said.purpose ?? "rhythm"}`, { leads: said.leads, device: said.device }),
  ecg_ended: () => t("line.ecg_ended"),
  acknowledged: (said) => t("line.acknowledged", { role: roleWord(said.role), hospital: said.hospital }),
};

/**
 * @param {Line} line @param {Record<string, string>} names units as people call them
 * @returns {import("/static/shared/timeline.js").Entry}
 */
export function entryOf(line, names) {
  const words = WORDS[line.kind];
  return {
    id: line.id,
    atMs: line.at_ms,
    notedAtMs: line.noted_ms,
    lateMs: line.late_ms,
    time: line.time,
    text: words ? words(line.said, names) : linkWords(line.kind, line.said) ?? line.kind,
    who: line.source === "hub" ? t("who.hub") : names[line.source] ?? line.source,
    level: line.kind === "pre_alert" ? levelOf(line.said.severity) : undefined,
    synthetic: line.origin === "synthetic",
  };
}
