/** A picture for the caller's page: one of ours, or an image that is made small first and kept nowhere. */
import { html, useRef, useState } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";

/** Those of which a dispatcher speaks without the guide; it shows the others by itself. */
const PICTOGRAMS = ["press_wound", "recovery", "tilt_head", "compressions", "look_breathing", "sit_up", "stand_clear", "neck_still",
  "cool_water", "keep_warm", "fetch_aed", "open_door"];
/** Longest side of an image as it is sent, pixels. */
const LONGEST = 1280;

/** @param {{one: import("./state.js").Case, state: import("./state.js").ConsoleState, video: import("./caller_video.js").CallerVideo}} props */
export function PictureChoice({ one, state, video }) {
  const [isOpen, setOpen] = useState(false);
  const [problem, setProblem] = useState("");
  const file = useRef(/** @type {HTMLInputElement | null} */ (null));
  const show = async () => {
    const chosen = file.current?.files?.[0];
    if (!chosen) return;
    setProblem("");
    try {
      await send(one.id, await shrink(chosen));
      setOpen(false);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : "");
    }
  };
  const showOwn = (/** @type {string} */ pictogram) => {
    if (state.act({ action: "show_pictogram", case: one.id, pictogram })) setOpen(false);
  };
  return html`<div class="caller-shown"><button class="small" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>${t("caller_video.show")}</button>
      ${video.picture && html`<span class="small">${t("caller_video.is_shown", { what: video.picture.pictogram ? name(video.picture.pictogram) : t("caller_video.image") })}</span>
        <button class="small" onClick=${() => state.act({ action: "hide_picture", case: one.id })}>${t("caller_video.hide")}</button>`}</div>
    ${isOpen && html`<div class="caller-pictures" role="group" aria-label=${t("caller_video.show")}>
      ${PICTOGRAMS.map((each) => html`<button key=${each} onClick=${() => showOwn(each)}><svg viewBox="0 0 96 96" aria-hidden="true">
          <use href=${`/static/page/caller/pictograms.svg#${each}`} /></svg><span class="small">${name(each)}</span></button>`)}
      <label class="small">${t("caller_video.choose")}<input ref=${file} type="file" accept="image/png,image/jpeg,image/webp" onChange=${show} /></label></div>`}
    ${problem && html`<p class="small warn" role="alert">${t("caller_video.not_shown", { why: problem })}</p>`}`;
}

/** @param {string} pictogram */
const name = (pictogram) => t(`pictogram.${pictogram}`);

/** Draws an image anew: smaller, turned as it is meant, and without what the camera wrote into it. @param {File} chosen */
async function shrink(chosen) {
  const image = await createImageBitmap(chosen);
  const scale = Math.min(1, LONGEST / Math.max(image.width, image.height));
  const canvas = Object.assign(document.createElement("canvas"), { width: Math.round(image.width * scale), height: Math.round(image.height * scale) });
  const paper = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  paper.fillStyle = "#fff"; // what is transparent
  paper.fillRect(0, 0, canvas.width, canvas.height);
  paper.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((/** @type {(made: Blob | null) => void} */ done) => { canvas.toBlob(done, "image/jpeg", 0.85); });
  if (!blob) throw new Error("canvas");
  return blob;
}

/** @param {string} caseId @param {Blob} image */
async function send(caseId, image) {
  const answer = await fetch(`/api/cases/${caseId}/caller-picture`, { method: "POST", body: image });
  if (!answer.ok) throw new Error((await answer.json()).error ?? String(answer.status));
}
