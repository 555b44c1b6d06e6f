/**
 * What a vehicle tells of its link, its sending, its clock and the video it keeps, in words
 * (streams/link_messages.py, streams/video_messages.py).
 */
import { durationInWords } from "./clock.js";
import { t } from "./i18n.js";

const MS = 1e6;

/** @param {string} kind @param {any} said @returns {string | null} null for other kinds */
export function linkWords(kind, said) {
  switch (kind) {
    case "link_outage": {
      const lasted = (said.until_ns - said.from_ns) / MS;
      return [lasted >= 1000 && t("link.outage", { duration: durationInWords(lasted) }),
        said.uplink && said.uplink !== said.before && t("link.changed", { uplink: said.uplink })]
        .filter(Boolean).join(" · ");
    }
    case "clock_state": {
      if (said.set_ns) {
        const words = said.set_ns < 0 ? "link.clock_set_back" : "link.clock_set_forward";
        return t(words, { duration: durationInWords(Math.abs(said.set_ns) / MS) });
      }
      const offset = said.offset_ns ?? 0;
      return t(offset > 0 ? "link.clock_behind" : "link.clock_ahead", { duration: durationInWords(Math.abs(offset) / MS) });
    }
    case "bay_handover": return t(`link.bay_${said.way}`, { hospital: said.hospital, facts: said.facts });
    case "run_report": {
      const dropped = Object.values(said.dropped ?? {}).reduce((sum, count) => sum + count, 0);
      return t("link.report", { made: said.made, resent: said.resent, dropped });
    }
    case "video_recording": return t(`video.${said.state}`) + (said.reason === "disk" ? ` (${t("video.why_disk")})` : "");
    case "video_deleted": return t("video.deleted", { count: said.segments, why: t(`video.why_${said.reason}`) });
    default: return null;
  }
}

/** A monitor's own word of the time beside its event. @param {string} text @param {string | null | undefined} deviceTime */
export function withDeviceTime(text, deviceTime) {
  return deviceTime ? `${text} (${t("link.device_time", { time: deviceTime.slice(11, 19) })})` : text;
}
