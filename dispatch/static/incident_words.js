/** The lines of an incident on the timeline. */
import { t } from "/static/shared/i18n.js";
import { word } from "/static/shared/words.js";

/** @param {string} kind @param {any} data @param {(name: string) => string} label @returns {string | null} null for every other kind */
export function incidentWords(kind, data, label) {
  const because = data.reason ? t("entry.because", { reason: data.reason }) : "";
  switch (kind) {
    case "incident_declared": return t("entry.incident_declared", { kind: word("mci.kind", data.kind), estimated: data.estimated ?? "?", seat: data.seat || "?" });
    case "patient_tagged": return t("entry.patient_tagged", { code: data.code, tag: word("tag", data.tag), how: word("mci.method", data.method) })
      + (data.reason ? ` (${word("mci.reason", data.reason)})` : "") + (data.by ? ` · ${data.by}` : "");
    case "patient_moved": return movedWords(data, label) + because;
    case "incident_closed": return t("entry.incident_closed", { seat: data.seat || "?" }) + because;
    default: return null;
  }
}

/** @param {any} data @param {(name: string) => string} label */
function movedWords(data, label) {
  if (data.to === "transported") return t("entry.patient_sent", { code: data.code, hospital: label(data.hospital), unit: label(data.unit) });
  if (data.to === "merged") return t("entry.patient_merged", { code: data.code, into: data.into });
  return t("entry.patient_moved", { code: data.code, where: word("mci.where", data.to) }) + (data.area ? ` ${data.area}` : "");
}
