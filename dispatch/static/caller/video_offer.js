/** The way to the video: what it needs is loaded only when somebody wants it, for a phone on a thin link. */
import { html, signal, useEffect } from "/static/shared/view.js";
import { addMessages, t } from "/static/shared/i18n.js";

/**
 * @typedef {object} VideoState as the hub tells it
 * @property {"off" | "asked" | "on" | "refused" | "withdrawn" | "stopped"} phase
 * @property {string} session the page that shows its picture @property {boolean} is_clear
 * @property {string[]} watching @property {boolean} voice
 * @property {{pictogram?: string, image?: string} | null} picture
 * @property {string} publish @property {string} hear
 */

const loaded = signal(/** @type {typeof import("./video.js") | null} */ (null));
const isMissing = signal(false);

async function load() {
  if (loaded.value) return loaded.value;
  try {
    const [found] = await Promise.all([import("./video.js"), addMessages("/static/page/caller/video/messages/")]);
    loaded.value = found;
    isMissing.value = false;
  } catch {
    isMissing.value = true; // no connection: the next tap tries again
  }
  return loaded.value;
}

/** What goes on of it, first on the page. @param {{writing: import("./writing.js").Writing}} props */
export function VideoSlot({ writing }) {
  const video = writing.video.value;
  const isWanted = Boolean(video && (video.phase === "asked" || video.picture));
  useEffect(() => { if (isWanted) void load(); }, [isWanted]);
  const Card = loaded.value?.VideoCard;
  if (video && Card) return html`<${Card} writing=${writing} />`;
  if (video?.phase === "stopped") return html`<p class="told" role="status"><strong>${t("video.stopped")}</strong></p>`;
  return isMissing.value && html`<p class="told wrong" role="alert"><strong>${t("video.unreachable")}</strong></p>`;
}

/** The caller's own way to it, last on the page. @param {{writing: import("./writing.js").Writing}} props */
export function VideoOffer({ writing }) {
  const phase = writing.video.value?.phase ?? "asked";
  const isBusy = phase === "asked" || phase === "stopped" || loaded.value?.isBusy();
  if (isBusy) return null;
  return html`<button class="second" onClick=${async () => {
    (await load())?.offer();
    scrollTo({ top: 0 });
  }}>${t("video.offer")}</button>`;
}
