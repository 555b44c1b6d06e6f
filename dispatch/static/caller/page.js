/** The caller's page: tell the emergency service where you are, see that it is known, correct it. */
import { html, render, signal, useEffect, useRef } from "/static/shared/view.js";
import { LANGUAGES, language, loadMessages, setLanguage, t } from "/static/shared/i18n.js";
import { Conversation, Latest, Needs } from "./conversation.js";
import { Questions } from "./questions.js";
import { Sharing } from "./sharing.js";
import { OrCall, Status } from "./status.js";
import { VideoOffer, VideoSlot } from "./video_offer.js";
import { Writing } from "./writing.js";

/** The guide's card is loaded so long after the hub is there, and again so long after a try that failed. */
const GUIDE_AFTER_MS = 2000;
const GUIDE_AGAIN_MS = 1000;

await loadMessages("/static/page/caller/messages/");
const sharing = new Sharing(location.pathname.replace(/\/$/, ""));
const writing = new Writing(sharing.path, () => language.value);
writing.start(); // at once: whether the link holds is heard by then
void sharing.look().then(() => { if (sharing.state.value === "invalid") writing.stop(); });

function Page() {
  document.title = t("here.title");
  const state = sharing.state.value;
  const over = state === "invalid" ? state : state === "closed" || !writing.isOpen.value ? "closed" : "";
  return html`<div class="top"><h1>${t("here.title")}</h1><${Languages} />
      <button class="leave" onClick=${leave}>✕ ${t("here.leave")}</button></div>
    ${over === "invalid" ? html`<p class="told wrong" role="alert"><strong>${t("here.invalid")}</strong></p>`
      : over ? html`<${Closed} /><${Conversation} writing=${writing} isOver />`
        : html`<${Status} writing=${writing} /><${Latest} writing=${writing} /><${Guide} /><${VideoSlot} writing=${writing} />${!writing.step.value && html`<${Questions} writing=${writing} />`}<${Share} state=${state} />
        <${Conversation} writing=${writing} /><${Needs} writing=${writing} /><${VideoOffer} writing=${writing} /><${Told} state=${state} /><${WhereMap} />`}`;
}

const guide = signal(/** @type {typeof import("./step.js") | null} */ (null));

async function loadGuide() {
  while (!guide.value) {
    try {
      guide.value = await import("./step.js");
    } catch { // no connection: once more when there is one
      await new Promise((go) => { setTimeout(go, GUIDE_AGAIN_MS); });
    }
  }
}

/** The guide's card comes behind the first words of the caller, and before a step is told; else the step's own words stand there. */
function Guide() {
  const step = writing.step.value;
  const isThere = writing.status.value !== null;
  useEffect(() => {
    if (!isThere) return undefined;
    const timer = setTimeout(() => void loadGuide(), step ? 0 : GUIDE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [isThere, !step]);
  const Card = guide.value?.StepCard;
  if (Card || !step) return Card ? html`<${Card} writing=${writing} />` : null;
  return html`<section class="step" role="alert"><p>${language.value === "zh-CN" ? step.text.zh : step.text.en}</p></section>`;
}

/** The case is closed: what was written stays readable, and where help is from now on. */
function Closed() {
  const number = writing.dialled.value;
  return html`<div class="told wrong" role="alert"><strong>${t("here.closed")}</strong>
    ${!number.startsWith("/") && html`<span>${t(number ? "here.again" : "here.again_any")}</span>`}<${OrCall} place=${number} /></div>`;
}

/** Leaves at once and without a way back: somebody may look over the caller's shoulder. */
function leave() {
  writing.leave();
  try {
    localStorage.removeItem("forerun.help.phone"); // else one tap at /help would show all of it again
  } catch { // storage may be forbidden: nothing is kept then
  }
  location.replace("about:blank");
}

/** @param {{state: string}} props */
function Share({ state }) {
  if (state === "sharing" || state === "waiting") return null;
  return html`<p>${t("here.why")}</p>
    <button class="main share" onClick=${() => sharing.start()}>${t("here.share")}</button>
    ${(state === "denied" || state === "unavailable") && html`<p class="told wrong" role="alert">
      <strong>${t(`here.${state}`)}</strong> <span>${t("here.say_it")}</span></p>`}`;
}

/** What the emergency service knows, and how sure the phone is. @param {{state: string}} props */
function Told({ state }) {
  const place = sharing.place.value;
  if (state === "waiting" && !place) return html`<p class="told" role="status"><strong>${t("here.looking")}</strong></p>`;
  if (!place) return null;
  const cut = sharing.isCut.value;
  const known = sharing.takenAt.value > 0;
  return html`<div class="told ${cut ? "wrong" : ""}" role="status">
    <span class="sign" aria-hidden="true">${cut ? "✕" : known ? "✓" : "…"}</span>
    <strong>${t(cut ? "here.cut" : known ? "here.known" : "here.sending")}</strong>
    <span>${place.byHand ? t("here.by_hand") : t("here.accuracy", { metres: Math.round(place.accuracy ?? 0) })}</span>
    ${known && !cut && html`<span>${t("here.keep_open")}</span>`}
  </div>`;
}

/** The place on a small map, loaded once there is one; a tap corrects it. */
function WhereMap() {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const map = useRef(/** @type {any} */ (null));
  const place = sharing.place.value;
  const isKnown = sharing.takenAt.value > 0; // the roads around it are known from then on
  useEffect(() => {
    if (!place || !isKnown || !box.current || map.current) return;
    map.current = "loading";
    for (const href of ["/static/shared/vendor/leaflet.css", "/static/shared/map.css"]) {
      document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
    }
    import("/static/shared/map.js").then(({ CaseMap }) => {
      map.current = new CaseMap(/** @type {HTMLDivElement} */ (box.current), {
        centre: [place.latitude, place.longitude], zoom: 16, roadsUrl: `${sharing.path}/roads`, onClick: (lat, lon) => sharing.setByHand(lat, lon),
      });
      draw(map.current, place);
    }).catch(() => { map.current = null; }); // no connection: once more when there is one
  }, [isKnown, sharing.isCut.value]);
  useEffect(() => {
    if (place && map.current && map.current !== "loading") draw(map.current, place);
  }, [place]);
  if (!place || !isKnown) return null;
  return html`<p id="map-hint">${t("here.move_pin")}</p><div class="map" ref=${box} aria-describedby="map-hint"></div>`;
}

/** @param {any} map @param {import("./sharing.js").Place} place */
function draw(map, place) {
  map.setMarker({ id: "caller", kind: "caller", lat: place.latitude, lon: place.longitude, label: t("here.you"),
    accuracyM: place.accuracy ?? undefined, chosen: true });
}

function Languages() {
  const other = LANGUAGES.find((name) => name !== language.value) ?? "en";
  return html`<button onClick=${() => setLanguage(other)}>${other === "en" ? "English" : "中文"}</button>`;
}

render(html`<${Page} />`, /** @type {HTMLElement} */ (document.getElementById("page")));
