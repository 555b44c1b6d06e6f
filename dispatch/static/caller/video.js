/**
 * Video with the dispatcher: asked first and said who sees it, ended by one tap at any time. The tap
 * on "yes" is the consent; the phone is asked for its camera only when the hub has it in writing.
 */
import { effect, html, signal, useEffect, useRef } from "/static/shared/view.js";
import { language, t } from "/static/shared/i18n.js";
import { newId } from "/static/shared/new_id.js";
import { publish } from "/static/shared/whip.js";

/** @typedef {import("./writing.js").Writing} Writing */

/** Pauses between two tries to tell the hub something. */
const RETRY_MS = [500, 1000, 2000, 4000];
const PICTURE = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 20 } };
const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
/** What the browser says of a camera that it does not give, in our words. @type {Record<string, string>} */
const REFUSALS = { NotAllowedError: "camera_refused", SecurityError: "camera_refused", NotFoundError: "no_camera", OverconstrainedError: "no_camera" };

document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/static/page/caller/video.css" }));

/** What this page does with its own camera. */
class OwnVideo {
  step = signal(/** @type {"idle" | "question" | "starting" | "on"} */ ("idle"));
  /** Why there is no video, in a word. */
  problem = signal("");
  /** How the picture gets through. */
  link = signal("connecting");
  isMuted = signal(false);
  hasOther = signal(false);
  stream = signal(/** @type {MediaStream | null} */ (null));
  session = newId();
  #isGranted = false;
  /** @type {import("/static/shared/whip.js").WhipPublication | null} */ #sending = null;
  /** @type {Writing | null} */ #writing = null;
  #lock = /** @type {WakeLockSentinel | null} */ (null);

  /** Follows what the hub says, from the first time on that the card is drawn. @param {Writing} writing */
  follow(writing) {
    if (this.#writing) return;
    this.#writing = writing;
    addEventListener("pagehide", () => {
      if (this.step.peek() !== "on" && this.step.peek() !== "starting") return;
      navigator.sendBeacon(`${writing.path}/video`, JSON.stringify({ step: "withdrawn", session: this.session, reason: "page_closed" }));
      this.#end(false);
    });
    effect(() => {
      const { phase, session } = writing.video.value ?? { phase: "off", session: "" };
      const isOurs = phase === "on" && session === this.session;
      if (isOurs) this.#isGranted = true;
      else if (this.#isGranted || !writing.isOpen.value) this.#end(true);
      if (!isOurs && phase === "stopped") this.problem.value = "";
    });
  }

  /** Says yes: first to the hub, then the phone asks for its camera. */
  async consent() {
    this.problem.value = missing();
    if (this.problem.value) return this.#refuse(this.problem.value);
    this.step.value = "starting";
    const said = await this.#say({ step: "consented", language: language.value });
    if (said !== "taken") {
      this.step.value = "idle";
      this.problem.value = said === "cut" ? "unreachable" : "";
      return;
    }
    let stream;
    try {
      stream = await openCamera();
    } catch (error) {
      return this.#refuse(REFUSALS[error instanceof DOMException ? error.name : ""] ?? "camera_busy");
    }
    if (this.step.peek() !== "starting") return stopTracks(stream); // ended while the phone asked
    this.#show(stream);
  }

  /** @param {MediaStream} stream */
  #show(stream) {
    const { publish: url } = /** @type {import("./video_offer.js").VideoState} */ (this.#writing?.video.peek());
    this.stream.value = stream;
    this.step.value = "on";
    this.isMuted.value = false;
    this.#watch(stream);
    this.#sending = publish(url, this.#path.split("/")[2], stream, { onchange: (phase) => {
      this.link.value = phase;
      if (phase === "refused") this.#end(true); // the hub lets nobody show what was ended
    } });
    void navigator.mediaDevices.enumerateDevices().then((all) => {
      this.hasOther.value = all.filter((one) => one.kind === "videoinput").length > 1;
    });
    navigator.wakeLock?.request("screen").then((lock) => { this.#lock = lock; }, () => {}); // a phone that sleeps shows nothing
  }

  /** @param {MediaStream} stream */
  #watch(stream) {
    for (const track of stream.getVideoTracks()) track.onended = () => this.stop("camera_ended");
  }

  get #path() {
    return /** @type {Writing} */ (this.#writing).path;
  }

  /** Ends it at once, whatever the network does; the hub is told as soon as there is one. @param {string} [reason] */
  stop(reason = "") {
    const wasOn = this.step.peek() !== "idle";
    this.#end(false);
    if (wasOn) void this.#say({ step: "withdrawn", reason }, true);
  }

  decline() {
    this.step.value = "idle";
    void this.#say({ step: "refused" }, true);
  }

  mute() {
    this.isMuted.value = !this.isMuted.value;
    for (const track of this.stream.peek()?.getAudioTracks() ?? []) track.enabled = !this.isMuted.value;
  }

  /** Shows what the phone's other camera sees. */
  async turn() {
    const stream = this.stream.peek();
    const before = stream?.getVideoTracks()[0];
    if (!stream || !before) return;
    const settings = before.getSettings();
    const other = await otherCamera(settings);
    before.onended = null;
    before.stop(); // many phones open one camera at a time
    const found = await openTrack(other).catch(() => openTrack({ deviceId: settings.deviceId })).catch(() => null);
    if (!found) return this.stop("camera_ended");
    if (this.stream.peek() !== stream) return found.stop();
    await this.#sending?.replace(found);
    this.#watch(stream);
  }

  /** @param {string} reason */
  #refuse(reason) {
    this.#end(false);
    this.problem.value = reason;
    void this.#say({ step: "refused", reason }, true);
  }

  /** @param {boolean} known whether the hub ended it */
  #end(known) {
    this.#sending?.close(known);
    this.#sending = null;
    stopTracks(this.stream.peek());
    this.stream.value = null;
    this.step.value = "idle";
    this.link.value = "connecting";
    this.#isGranted = false;
    void this.#lock?.release().catch(() => {});
    this.#lock = null;
  }

  /**
   * Tells the hub; what must arrive is told until it does.
   * @param {Record<string, string>} said @param {boolean} [until]
   * @returns {Promise<"taken" | "refused" | "cut">}
   */
  async #say(said, until = false) {
    const body = JSON.stringify({ session: this.session, ...said });
    for (let tries = 0; ; tries++) {
      try {
        const answer = await fetch(`${this.#path}/video`, { method: "POST", body, signal: AbortSignal.timeout(8000) });
        if (answer.ok) return "taken";
        if (answer.status < 500) return "refused";
      } catch {
        // told again below
      }
      if (!until && tries >= 2) return "cut";
      await new Promise((go) => { setTimeout(go, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]); });
    }
  }
}

const own = new OwnVideo();

/** The caller wants to show something: the question is asked first. */
export function offer() {
  if (own.step.value === "idle") own.step.value = "question";
}

/** Whether the card shows what is to be done next. */
export const isBusy = () => own.step.value !== "idle" || own.problem.value !== "";

/** @returns {string} what this browser lacks, in a word; empty when it has all */
function missing() {
  if (!isSecureContext || !navigator.mediaDevices?.getUserMedia) return isSecureContext ? "no_webrtc" : "insecure";
  return "RTCPeerConnection" in globalThis ? "" : "no_webrtc";
}

/** Opens the camera at the back, if there is one, and the microphone. */
async function openCamera() {
  const video = { ...PICTURE, facingMode: { ideal: "environment" } };
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: SOUND });
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== "NotFoundError") throw error;
    return navigator.mediaDevices.getUserMedia({ video }); // no microphone: a picture is much
  }
}

/** @param {MediaTrackConstraints} which */
async function openTrack(which) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { ...PICTURE, ...which } });
  return stream.getVideoTracks()[0];
}

/** The camera at the other side of a phone; where sides are not known, the next one. @param {MediaTrackSettings} now */
async function otherCamera(now) {
  if (now.facingMode) return { facingMode: { exact: now.facingMode === "environment" ? "user" : "environment" } };
  const all = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput");
  const at = all.findIndex((one) => one.deviceId === now.deviceId);
  return { deviceId: { exact: all[(at + 1) % all.length]?.deviceId } };
}

/** @param {MediaStream | null} stream */
function stopTracks(stream) {
  for (const track of stream?.getTracks() ?? []) {
    track.onended = null;
    track.stop();
  }
}

/** @param {{writing: Writing}} props */
export function VideoCard({ writing }) {
  useEffect(() => own.follow(writing), []);
  const video = writing.video.value;
  const step = own.step.value;
  if (!video) return null;
  const isAsked = video.phase === "asked" && step === "idle" && !own.problem.value;
  return html`${step === "question" || isAsked ? html`<${Question} isAsked=${video.phase === "asked"} />`
      : step === "starting" ? html`<section class="video told" role="status"><strong>${t("video.starting")}</strong></section>`
        : step === "on" ? html`<${Showing} video=${video} />` : html`<${Idle} video=${video} />`}
    <${Shown} writing=${writing} video=${video} />`;
}

/** @param {{isAsked: boolean}} props */
function Question({ isAsked }) {
  return html`<section class="video told" role="alert" aria-labelledby="video-question">
    <h2 id="video-question">${t(isAsked ? "video.asked" : "video.question")}</h2>
    <p>${t("video.who")}</p><p>${t("video.nothing_kept")}</p>
    <button class="main yes" onClick=${() => own.consent()}>${t("video.yes")}</button>
    <button class="second" onClick=${() => { if (isAsked) own.decline(); else own.step.value = "idle"; }}>${t("video.no")}</button></section>`;
}

/** @param {{video: import("./video_offer.js").VideoState}} props */
function Showing({ video }) {
  const preview = useRef(/** @type {HTMLVideoElement | null} */ (null));
  const stream = own.stream.value;
  const link = own.link.value;
  useEffect(() => { if (preview.current) preview.current.srcObject = stream; }, [stream]);
  const state = link !== "live" ? t(`video.link_${link === "lost" || link === "unreachable" ? "lost" : "connecting"}`)
    : t(video.is_clear ? "video.clear" : "video.blurred");
  return html`<section class="video told ${link === "lost" || link === "unreachable" ? "wrong" : ""}" data-link=${link}>
    <div class="video-own"><video ref=${preview} autoplay muted playsinline aria-label=${t("video.own")}></video>
      <p role="status"><strong>${state}</strong>${video.watching.map((who) => html` <span key=${who}>${t(`video.watching_${who}`)}</span>`)}</p></div>
    <button class="main stop" onClick=${() => own.stop()}>■ ${t("video.stop")}</button>
    <div class="video-ways"><button aria-pressed=${own.isMuted.value} onClick=${() => own.mute()}>${t("video.mute")}</button>
      ${own.hasOther.value && html`<button onClick=${() => own.turn()}>${t("video.turn")}</button>`}</div>
    ${video.voice && html`<${Voice} url=${video.hear} />`}</section>`;
}

/** What the dispatcher says into this page. @param {{url: string}} props */
function Voice({ url }) {
  const ear = useRef(/** @type {any} an audio element: one for pictures would wait for one */ (null));
  useEffect(() => {
    let isOver = false;
    /** @type {{close: () => void} | null} */ let view = null;
    void import("/static/shared/whep.js").then(({ subscribe }) => {
      if (!isOver && ear.current) view = subscribe(url, location.pathname.split("/")[2], ear.current, { muted: false, kinds: ["audio"] });
    }).catch(() => {}); // no connection: nothing is heard either
    return () => {
      isOver = true;
      view?.close();
    };
  }, [url]);
  return html`<p role="status">${t("video.speaking")}<audio class="ear" ref=${ear}></audio></p>`;
}

/** No video now: why, and the way to one. @param {{video: import("./video_offer.js").VideoState}} props */
function Idle({ video }) {
  const problem = own.problem.value;
  const isElsewhere = video.phase === "on" && video.session !== own.session;
  const words = problem ? `video.${problem}` : isElsewhere ? "video.elsewhere" : video.phase === "stopped" ? "video.stopped"
    : video.phase === "withdrawn" ? "video.withdrawn" : "";
  const again = () => {
    own.problem.value = "";
    offer();
  };
  return html`${words && html`<p class="video told ${problem ? "wrong" : ""}" role="alert"><strong>${t(words)}</strong>
      <span>${t("video.go_on")}</span></p>`}
    ${problem && video.phase !== "stopped" && html`<button class="second" onClick=${again}>${t("video.offer")}</button>`}`;
}

/** What the dispatcher shows. @param {{writing: Writing, video: import("./video_offer.js").VideoState}} props */
function Shown({ writing, video }) {
  const { picture } = video;
  if (!picture) return null;
  return html`<figure class="shown" role="alert">${picture.pictogram
      ? html`<svg viewBox="0 0 96 96" role="img" aria-label=${t("video.picture")}><use href=${`/static/page/caller/pictograms.svg#${picture.pictogram}`} /></svg>`
      : html`<img src=${`${writing.path}/picture/${picture.image}`} alt=${t("video.picture")} />`}
    <figcaption class="small">${t("video.picture")}</figcaption></figure>`;
}
