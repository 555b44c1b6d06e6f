/**
 * The vehicle's disk, said while something is wrong with it: what waits, what is lost, what to do.
 */
import { html } from "/static/shared/view.js";
import { durationInWords, timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";

/** @typedef {{state: "ok" | "low" | "full", since_ms: number, free_mib: number, held_facts: number,
 *   held_ecg_s: number, lost_facts: number}} Disk */

/** @param {{state: import("./state.js").TabletState}} props */
export function DiskNote({ state }) {
  const disk = state.disk.value;
  if (!disk || disk.state === "ok") return null;
  const full = disk.state === "full";
  const words = full
    ? t("disk.full", { facts: disk.held_facts, ecg: durationInWords(disk.held_ecg_s * 1000) })
    : t("disk.low", { free: disk.free_mib });
  return html`<div class="disk-note small ${full ? "full" : ""}" role=${full ? "alert" : "status"}>
    <strong>▲ ${t(full ? "disk.full_since" : "disk.low_since", { time: timeOfDay(disk.since_ms) })}</strong>${" "}
    ${words} ${disk.lost_facts > 0 && html`<strong>${t("disk.lost", { count: disk.lost_facts })}</strong>`}</div>`;
}
