/** The patient: who it is as far as known, what is bound to whom, who is watching, notes. */
import { html, useState } from "/static/shared/view.js";
import { durationInWords, now, timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { band } from "/static/shared/value_tile.js";
import { patientWords } from "./call.js";
import { CaseTimeline } from "./timeline.js";

/** @typedef {import("./state.js").TabletState} TabletState */
/** @typedef {import("./state.js").Sensor} Sensor */

const MINUTE_MS = 60_000;
/** Sensors that tell where the vehicle is say nothing of the patient. */
const OF_THE_VEHICLE = ["gpsd", "nmea", "gpx", "csv_track", "route"];

/** @param {{state: TabletState}} props */
export function PatientView({ state }) {
  const open = state.case.value;
  if (!open) return html`<div class="empty"><h2>${t("patient.none")}</h2></div>`;
  return html`<div class="columns">
    <div class="column">
      <section class="card"><h2>${t("patient.unknown")}</h2>
        <p class="patient-words">${patientWords(open)}</p>
        ${open.complaint && html`<p class="complaint-whole" tabindex="0">${open.complaint}</p>`}</section>
      <${CameraCard} state=${state} />
      <${Devices} state=${state} /></div>
    <div class="column wide"><${NoteCard} state=${state} />
      <section class="card fill"><h2>${t("call.timeline")}</h2><${CaseTimeline} open=${open} /></section></div>
  </div>`;
}

/** @param {{state: TabletState}} props */
function Devices({ state }) {
  const sensors = state.sensors.value.filter((one) => !OF_THE_VEHICLE.includes(one.kind));
  const bound = state.run.value.state === "running";
  return html`<section class="card"><h2>${t("patient.devices")}</h2>
    ${!sensors.length && html`<p class="muted">${t("patient.no_devices")}</p>`}
    <ul class="devices">${sensors.map((one) => {
      const mark = band({ synthetic: one.origin === "synthetic" });
      return html`<li key=${one.name} class="device ${one.state} ${mark.class}" data-band=${mark.word}>
        <strong>${one.name}</strong><span>${t(`sensor.${one.state}`)}
          ${one.state === "running" && html` · ${t(bound ? "patient.bound" : "patient.unassigned")}`}</span>
        ${one.reason && one.state !== "running" && html`<span class="small muted">${one.reason}</span>`}
        ${one.state === "running" && one.origin === "replay" && html`<span class="small muted">${t("origin.replay")}</span>`}</li>`;
    })}</ul></section>`;
}

/** Who is filmed must know it. @param {{state: TabletState}} props */
function CameraCard({ state }) {
  const camera = state.camera.value;
  if (!camera) return null;
  const can = state.can("camera");
  const mark = band({ synthetic: camera.origin === "synthetic" });
  const words = !can ? t("camera.with_run")
    : camera.on ? t("camera.on", { lasting: durationInWords(now.value - camera.since_ms) })
      : t(camera.wanted ? "camera.trying" : "camera.off");
  return html`<section class="card camera ${camera.on ? "on" : ""} ${mark.class}" data-band=${mark.word}>
    <h2>${t("camera.label")}</h2><p role="status">${words}</p>
    ${can && camera.wanted && !camera.on && camera.reason
      && html`<p class="small muted clamp">${camera.reason}</p>`}
    ${camera.origin === "replay" && html`<p class="small muted">${t("origin.replay")}</p>`}
    ${can && html`<button aria-pressed=${camera.wanted}
      onClick=${() => state.act({ action: "camera", on: !camera.wanted })}>
      ${t(camera.wanted ? "camera.switch_off" : "camera.switch_on")}</button>`}
    ${can && camera.record.allowed && html`<${Keeping} state=${state} record=${camera.record} />`}</section>`;
}

/**
 * Whether the case's video is kept on board: the crew decides, and sees what stands in its way.
 * @param {{state: TabletState, record: import("./state.js").Keeping}} props
 */
function Keeping({ state, record }) {
  const words = record.on ? t("record.on") : record.wanted ? t(`record.${record.why.replace(" ", "_") || "disk"}`)
    : t("record.off");
  return html`<p class="small" role="status">${words}</p>
    <button aria-pressed=${record.wanted} onClick=${() => state.act({ action: "record", on: !record.wanted })}>
      ${t(record.wanted ? "record.stop" : "record.start")}</button>`;
}

/** @param {{state: TabletState}} props */
function NoteCard({ state }) {
  const [text, setText] = useState("");
  const [back, setBack] = useState(0);
  const can = state.can("note");
  const save = async () => {
    const at = back ? { at_ms: Math.round(now.peek() - back * MINUTE_MS) } : {};
    if (text.trim() && (await state.act({ action: "note", text: text.trim(), ...at }))) {
      setText("");
      setBack(0);
    }
  };
  return html`<section class="card note"><h2>${t("note.label")}</h2>
    <textarea rows="2" maxlength="2000" value=${text} disabled=${!can} aria-label=${t("note.label")}
      placeholder=${t("note.hint")} onInput=${(/** @type {any} */ event) => setText(event.target.value)}></textarea>
    <div class="note-row"><span class="number">${back
      ? t("note.at", { time: timeOfDay(now.value - back * MINUTE_MS) }) : t("note.now")}</span>
      <button disabled=${!can} onClick=${() => setBack(back + 1)}>−${t("duration.minutes", { count: 1 })}</button>
      <button disabled=${!can} onClick=${() => setBack(back + 5)}>−${t("duration.minutes", { count: 5 })}</button>
      ${back > 0 && html`<button onClick=${() => setBack(0)}>${t("note.reset")}</button>`}
      <button class="main grow" disabled=${!can || !text.trim()} onClick=${save}>${t("note.save")}</button>
    </div></section>`;
}
