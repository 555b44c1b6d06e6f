/**
 * The top of every page: who receives, what time it is, whether the link lives; and the bar that shouts.
 *
 *     html`<${LinkBar} socket=${socket} />
 *          <${StatusBar} socket=${socket} title="Receiving: First Hospital ER">3 inbound<//>`
 *
 * While the link is lost, <html data-link="lost"> greys every element with the class `live`.
 */
import { html, useEffect } from "./view.js";
import { durationInWords, now, serverNow, timeOfDay } from "./clock.js";
import { t } from "./i18n.js";
import { Preferences } from "./theme.js";

/** @typedef {import("./socket.js").PageSocket} PageSocket */
/** How long "live again" stands, ms. */
const NOTICE_MS = 10_000;
/** A page that has just been opened is given this long before it complains, ms. */
const PATIENCE_MS = 1500;

/**
 * @param {{socket: PageSocket, title: unknown, children?: unknown, preferences?: boolean}} props
 */
export function StatusBar({ socket, title, children, preferences = true }) {
  return html`<header class="status-bar">
    <h1 class="clip grow">${title}</h1>
    ${children}
    <time class="number">${timeOfDay(now.value)}</time>
    <${LinkWord} socket=${socket} />
    ${preferences && html`<${Preferences} />`}
  </header>`;
}

/** The link's state as a shape and a word. @param {{socket: PageSocket}} props */
export function LinkWord({ socket }) {
  const { state } = socket.link.value;
  return html`<span class="link ${state}" role="status">
    <svg viewBox="0 0 10 10" aria-hidden="true">
      ${state === "live"
        ? html`<circle cx="5" cy="5" r="4.5" />`
        : html`<path d="M0.5 2 2 0.5 5 3.5 8 0.5 9.5 2 6.5 5 9.5 8 8 9.5 5 6.5 2 9.5 0.5 8 3.5 5Z" />`}
    </svg>${t(`link.${state}`)}</span>`;
}

/**
 * The full-width bar: nothing while all is well. What the page shows may have been old already when
 * its own link went: `lostBefore` says since when (server's ms), and the older of the two is told.
 * @param {{socket: PageSocket, lostBefore?: number | null}} props
 */
export function LinkBar({ socket, lostBefore = null }) {
  const { state, sinceMs, backAtMs, lostAtMs, reason } = socket.link.value;
  useEffect(() => {
    document.documentElement.dataset.link = state;
  }, [state]);
  const skew = serverNow() - Date.now(); // link times are the browser's, the page shows the hub's
  const age = now.value - skew - sinceMs;
  const since = Math.min(sinceMs + skew, lostBefore ?? Infinity);
  const why = reason && reason !== "silent" && reason !== "offline"
    ? html`<div class="small">${t("link.refused", { reason })}</div>` : null;
  if (state === "lost") {
    return html`<div class="not-live" role="alert">
      ${t("link.not_live", { time: timeOfDay(since), duration: durationInWords(now.value - since) })}${why}</div>`;
  }
  if (state === "connecting" && age > PATIENCE_MS) {
    return html`<div class="not-live" role="alert">${t("link.never_live", { time: timeOfDay(since) })}${why}</div>`;
  }
  if (backAtMs && lostAtMs && age < NOTICE_MS && lostBefore === null) {
    return html`<div class="live-again" role="status">${t("link.live_again", {
      from: timeOfDay(lostAtMs + skew), to: timeOfDay(backAtMs + skew),
    })}</div>`;
  }
  return null;
}
