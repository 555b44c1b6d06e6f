/**
 * The caller's picture: asked for, then blurred until this seat chooses to look, which is journaled.
 * Sound is off while it is blurred. This seat may end it, speak to the caller's page, and show a picture.
 */
import { html, useEffect, useRef, useState } from "/static/shared/view.js";
import { timeOfDay } from "/static/shared/clock.js";
import { videoReason } from "/static/shared/caller_video_words.js";
import { t } from "/static/shared/i18n.js";
import { subscribe } from "/static/shared/whep.js";
import { publish } from "/static/shared/whip.js";
import { PictureChoice } from "./caller_picture.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */
/**
 * @typedef {object} CallerVideo
 * @property {"off" | "asked" | "on" | "refused" | "withdrawn" | "stopped"} phase @property {number} since_ms
 * @property {string} by @property {string} who @property {string} reason @property {string[]} looking
 * @property {string[]} watching @property {string} voice @property {{pictogram: string, who: string} | null} picture
 */

/** @param {{one: Case, state: ConsoleState}} props */
export function CallerVideoCard({ one, state }) {
  const video = state.detail.value?.caller_video;
  const isOpen = state.detail.value?.talk?.reader === "opened";
  if (!video || one.closed_ms || (!isOpen && video.phase === "off")) return null;
  const act = (/** @type {string} */ action, fields = {}) => state.act({ action, case: one.id, ...fields });
  const busy = (/** @type {string} */ action) => state.isSending(action, one.id);
  return html`<section class="caller-video card" aria-label=${t("caller_video.label")} data-phase=${video.phase}>
    <header class="caller-video-head"><h3 class="muted">${t("caller_video.label")}</h3>
      <span class=${video.phase === "on" ? "" : "muted"} role="status">${phaseWords(video)}</span>
      ${video.phase === "asked" ? html`<button onClick=${() => act("stop_video")}>${t("caller_video.take_back")}</button>`
        : video.phase !== "on" && isOpen && html`<button data-key="caller-video" disabled=${busy("ask_video")} onClick=${() => act("ask_video")}>
          ${t("caller_video.ask")} <kbd>⇧ V</kbd></button>`}</header>
    ${video.phase === "on" && html`<${Picture} one=${one} state=${state} video=${video} key=${one.id} />`}
    ${(isOpen || video.picture) && html`<${PictureChoice} one=${one} state=${state} video=${video} />`}
  </section>`;
}

/** @param {CallerVideo} video */
function phaseWords({ phase, since_ms: at, reason, who, watching }) {
  const why = videoReason(reason);
  const words = t(`caller_video.${phase === "refused" && !reason ? "said_no" : phase}`, { time: timeOfDay(at), seat: who });
  const others = [...new Set(watching.map((one) => one.split("/")[0]))].map((one) => t(`caller_video.watching_${one}`));
  return [words, phase !== "on" && why, ...others].filter(Boolean).join(" · ");
}

/** @param {{one: Case, state: ConsoleState, video: CallerVideo}} props */
function Picture({ one, state, video }) {
  const box = useRef(/** @type {HTMLVideoElement | null} */ (null));
  const [phase, setPhase] = useState("connecting");
  const [sound, setSound] = useState(one.call?.phase !== "talking"); // who is on the line is heard there
  const { seat } = state.about.value;
  const isClear = video.looking.includes(seat);
  const clear = useRef(isClear);
  clear.current = isClear;
  useEffect(() => {
    const element = /** @type {HTMLVideoElement} */ (box.current);
    const view = subscribe(`/whep/caller-${one.id}/camera`, "", element, { onchange: (now) => setPhase(now.phase) });
    return () => {
      view.close();
      const isOn = state.detail.peek()?.caller_video?.phase === "on" || state.detail.peek()?.case !== one.id;
      if (clear.current && isOn) state.act({ action: "blur_video", case: one.id }); // who turns away sees it no more
    };
  }, [one.id]);
  const isSilent = !isClear || !sound;
  useEffect(() => { if (box.current) box.current.muted = isSilent; }, [isSilent]);
  useEffect(() => { if (isClear) box.current?.scrollIntoView({ block: "nearest" }); }, [isClear]);
  const toggle = () => state.act({ action: isClear ? "blur_video" : "look_video", case: one.id });
  const busy = state.isSending("look_video", one.id) || state.isSending("blur_video", one.id);
  const others = video.looking.filter((name) => name !== seat);
  return html`<figure class="caller-picture" data-phase=${phase} data-clear=${isClear}>
    <figcaption class="caller-ways">
      <button class="main" data-key="caller-video" aria-pressed=${isClear} disabled=${busy} onClick=${toggle}>${t(isClear ? "caller_video.blur" : "caller_video.look")} <kbd>⇧ V</kbd></button>
      <button aria-pressed=${!isSilent} disabled=${!isClear} onClick=${() => setSound(!sound)}>${t("caller_video.sound")}</button>
      <${Voice} one=${one} state=${state} video=${video} />
      <button class="stop" disabled=${state.isSending("stop_video", one.id)} onClick=${() => state.act({ action: "stop_video", case: one.id })}>■ ${t("caller_video.stop")}</button>
      ${others.length > 0 && html`<span class="small muted">${t("caller_video.looking", { seats: others.join(", ") })}</span>`}
    </figcaption>
    <div class="caller-frame"><video ref=${box} playsinline class=${isClear ? "" : "blurred"} aria-label=${t("caller_video.picture")}></video>
      ${phase !== "live" && html`<p class="cabin-message">${t(`video.${phase}`)}</p>`}
      ${phase === "live" && !isClear && html`<p class="caller-veil">${t("caller_video.is_blurred")}</p>`}</div></figure>`;
}

/** Speaking to the caller's page: first journaled, then the microphone. @param {{one: Case, state: ConsoleState, video: CallerVideo}} props */
function Voice({ one, state, video }) {
  const { seat } = state.about.value;
  const [wanted, setWanted] = useState(false);
  const [phase, setPhase] = useState("");
  const isOn = wanted && video.voice === seat;
  const speaks = useRef(false);
  speaks.current = video.voice === seat && wanted;
  const say = (/** @type {boolean} */ on) => {
    setWanted(on);
    if (on !== (video.voice === seat)) state.act({ action: "speak_video", case: one.id, on });
  };
  useEffect(() => () => { if (speaks.current) state.act({ action: "speak_video", case: one.id, on: false }); }, [one.id]);
  useEffect(() => {
    if (!isOn) return undefined;
    let isOver = false;
    /** @type {(() => void) | null} */ let end = null;
    setPhase("connecting");
    openMicrophone().then((stream) => {
      const stop = () => stream.getTracks().forEach((track) => track.stop());
      if (isOver) return stop();
      const sending = publish(`/whip/caller-${one.id}/seat`, "", stream, { onchange: setPhase });
      end = () => {
        sending.close(true);
        stop();
      };
      return undefined;
    }).catch(() => {
      setPhase("no_microphone");
      say(false);
    });
    return () => {
      isOver = true;
      end?.();
    };
  }, [isOn, one.id]);
  const taken = video.voice && video.voice !== seat;
  return html`<button aria-pressed=${isOn} disabled=${state.isSending("speak_video", one.id)} data-voice=${isOn ? phase : "off"}
      onClick=${() => say(!isOn)}>${t(isOn ? "caller_video.speak_end" : "caller_video.speak")}</button>
    ${isOn && phase !== "live" && html`<span class="small muted" role="status">${t(phase === "connecting" ? "video.connecting" : "video.unreachable")}</span>`}
    ${!isOn && phase === "no_microphone" && html`<span class="small warn" role="alert">${t("caller_video.no_microphone")}</span>`}
    ${taken && html`<span class="small muted">${t("caller_video.speaks", { seat: video.voice })}</span>`}`;
}

function openMicrophone() {
  if (!navigator.mediaDevices) return Promise.reject(new Error("no secure context"));
  return navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
}
