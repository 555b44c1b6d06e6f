/**
 * The page's one WebSocket: JSON for state, binary for waveforms, and the truth about being live.
 *
 *     const socket = new PageSocket("/ws/board", {
 *       onState: (message) => state.value = message,
 *       onFrame: (buffer) => strip.take(buffer),
 *     });
 *     socket.send({ type: "acknowledge", case_id });        // false when not live
 *
 * It connects again by itself, after 0.25 s, then 0.5, 1, 2 … at most 5 s, each with jitter so that
 * a hundred pages do not come back in one instant. A connection that is open but silent for longer
 * than `silenceMs` is given up: a half-open TCP connection looks healthy to a browser for minutes.
 * So the server sends something at least every `silenceMs` / 3, if only {"type": "tick", "now_ms": …}.
 * `now_ms` in any message sets the page's clock (clock.js).
 *
 * Nothing is queued while the link is down: a click on "Accept" that leaves minutes later, by itself,
 * would be worse than one that visibly failed.
 */
import { signal } from "./view.js";
import { heardServerTime } from "./clock.js";

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5000;

/**
 * @typedef {object} Link
 * @property {"connecting" | "live" | "lost"} state `connecting` only before the first success
 * @property {number} sinceMs browser's clock when this state began
 * @property {number} [backAtMs] with `live` after a loss: when it came back
 * @property {number} [lostAtMs] with `live` after a loss: when it had gone
 * @property {string} [reason] the server's reason for closing, if it gave one
 */

/**
 * @typedef {object} SocketOptions
 * @property {(message: any) => void} onState called for every JSON message but ticks
 * @property {(frame: ArrayBuffer) => void} [onFrame] called for every binary frame
 * @property {() => void} [onLive] called after each (re)connection, before any message
 * @property {number} [silenceMs] give the connection up after this long without a message
 */

/**
 * The connection that the document itself began to open (streams/page_bundle.py), so that it stands
 * when the scripts are there; once, and only where it may still be of use.
 * @param {string} href
 * @returns {WebSocket | undefined}
 */
function takeEarly(href) {
  const at = /** @type {{forerunSocket?: WebSocket}} */ (globalThis);
  const socket = at.forerunSocket;
  delete at.forerunSocket;
  return socket && socket.url === href && socket.readyState <= WebSocket.OPEN ? socket : undefined;
}

export class PageSocket {
  /** @type {WebSocket | null} */ #socket = null;
  #attempt = 0;
  #lastHeardMs = 0;
  #lostAtMs = 0;
  #closed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retry;
  #watch;

  /**
   * @param {string} path on this server, such as "/ws/board"
   * @param {SocketOptions} options
   */
  constructor(path, options) {
    this.url = new URL(path, location.href);
    this.url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.options = { silenceMs: 6000, ...options };
    /** What is true of the link now; a signal. */
    this.link = signal(/** @type {Link} */ ({ state: "connecting", sinceMs: Date.now() }));
    this.#watch = setInterval(() => this.#giveUpSilent(), 500);
    // The browser knows of a pulled cable before TCP does.
    addEventListener("offline", this.#onOffline);
    addEventListener("online", this.#onOnline);
    this.#connect();
  }

  /** @returns {boolean} whether what the page shows is coming in now */
  get live() {
    return this.link.value.state === "live";
  }

  /**
   * Sends a message as JSON, or a buffer as it is.
   * @param {object | ArrayBuffer} message
   * @returns {boolean} false, and nothing sent, when the link is down
   */
  send(message) {
    if (!this.live || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(message instanceof ArrayBuffer ? message : JSON.stringify(message));
    return true;
  }

  /** Ends the connection for good. */
  close() {
    this.#closed = true;
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    removeEventListener("offline", this.#onOffline);
    removeEventListener("online", this.#onOnline);
    this.#socket?.close(1000);
  }

  #onOffline = () => this.#drop("offline");
  #onOnline = () => {
    clearTimeout(this.#retry);
    if (!this.#socket) this.#connect();
  };

  #connect() {
    const socket = takeEarly(this.url.href) ?? new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#lastHeardMs = Date.now();
    socket.onopen = () => socket === this.#socket && this.#opened();
    socket.onmessage = (event) => socket === this.#socket && this.#heard(event.data);
    socket.onclose = (event) => socket === this.#socket && this.#drop(event.reason);
    if (socket.readyState === WebSocket.OPEN) queueMicrotask(() => socket === this.#socket && this.#opened());
  }

  #opened() {
    this.#attempt = 0;
    const at = Date.now();
    this.#lastHeardMs = at;
    const back = this.#lostAtMs ? { backAtMs: at, lostAtMs: this.#lostAtMs } : {};
    this.#lostAtMs = 0;
    this.link.value = { state: "live", sinceMs: at, ...back };
    this.options.onLive?.();
  }

  /** @param {string | ArrayBuffer} data */
  #heard(data) {
    const at = Date.now();
    this.#lastHeardMs = at;
    if (typeof data !== "string") {
      this.options.onFrame?.(data);
      return;
    }
    const message = JSON.parse(data);
    if (typeof message.now_ms === "number") heardServerTime(message.now_ms, at);
    if (message.type !== "tick") this.options.onState(message);
  }

  #giveUpSilent() {
    const silentMs = Date.now() - this.#lastHeardMs;
    if (this.#socket && silentMs > this.options.silenceMs) this.#drop("silent");
  }

  /** @param {string} [reason] */
  #drop(reason) {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.close();
    if (this.#closed) return;
    if (this.link.value.state === "live") {
      // Since when: the last thing heard, not the moment the loss was noticed.
      this.#lostAtMs = this.#lastHeardMs;
      this.link.value = { state: "lost", sinceMs: this.#lastHeardMs, reason };
    } else if (reason && reason !== this.link.value.reason) {
      this.link.value = { ...this.link.value, reason };
    }
    const wait = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#attempt++);
    this.#retry = setTimeout(() => this.#connect(), wait * (0.5 + Math.random()));
  }
}
