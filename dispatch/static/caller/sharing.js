/**
 * Telling where this phone is: the newest position goes, again until it is taken, and goes on while
 * the phone moves. A place that the person set by hand is told too, and is what the page then shows.
 */
import { signal } from "/static/shared/view.js";

/** @typedef {{latitude: number, longitude: number, accuracy: number | null, at: number, byHand: boolean}} Place */
/** @typedef {"asking" | "waiting" | "sharing" | "denied" | "unavailable" | "closed" | "invalid"} State */

/** Pauses between two tries while nothing gets through. */
const RETRY_MS = [1000, 2000, 4000, 8000];
/** Nothing is told more often. */
const LEAST_MS = 2000;
/** A phone that does not move is measured again after so long: it shows that it is still there. */
const AGAIN_MS = 15_000;
const TICK_MS = 250;
const OPTIONS = { enableHighAccuracy: true, maximumAge: 0, timeout: 20_000 };

export class Sharing {
  state = signal(/** @type {State} */ ("asking"));
  /** What is told, newest. */
  place = signal(/** @type {Place | null} */ (null));
  /** When the hub took the last one; 0 before. */
  takenAt = signal(0);
  /** Whether the last try did not get through. */
  isCut = signal(false);
  #watch = 0;
  #timer = 0;
  #isSending = false;
  #failed = 0;
  #notBefore = 0;
  #measuredAt = 0;
  /** @type {Place | null} what waits to be told; a newer one takes its place */ #next = null;

  /** @param {string} path of the page, `/here/<token>` */
  constructor(path) {
    this.path = path;
  }

  /** Looks whether the link holds and the case is open. */
  async look() {
    try {
      const answer = await fetch(`${this.path}/state`);
      if (answer.status === 403 || answer.status === 404) this.#end("invalid");
      else if (answer.ok && !(await answer.json()).open) this.#end("closed");
    } catch {
      this.isCut.value = true;
    }
  }

  /** Asks the phone; the browser asks the person. */
  start() {
    if (!navigator.geolocation) {
      this.state.value = "unavailable";
      return;
    }
    this.state.value = "waiting";
    navigator.geolocation.clearWatch(this.#watch);
    this.#watch = navigator.geolocation.watchPosition((found) => this.#measured(found), (error) => this.#refused(error), OPTIONS);
    clearInterval(this.#timer);
    this.#timer = window.setInterval(() => this.#tick(), TICK_MS);
  }

  /** The person says that he is here. @param {number} latitude @param {number} longitude */
  setByHand(latitude, longitude) {
    this.#tell({ latitude, longitude, accuracy: 50, at: Date.now(), byHand: true });
    clearInterval(this.#timer);
    this.#timer = window.setInterval(() => this.#tick(), TICK_MS);
  }

  /** @param {GeolocationPosition} found */
  #measured({ coords: { latitude, longitude, accuracy }, timestamp }) {
    this.#measuredAt = Date.now();
    this.#tell({ latitude, longitude, accuracy, at: timestamp, byHand: false });
  }

  /** @param {GeolocationPositionError} error */
  #refused(error) {
    if (error.code === error.PERMISSION_DENIED) this.state.value = "denied";
    else if (!this.place.value) this.state.value = "unavailable";
  }

  /** @param {Place} place */
  #tell(place) {
    if (place.byHand || !this.place.value?.byHand) this.place.value = place;
    if (place.byHand || !this.#next?.byHand) this.#next = place;
  }

  #tick() {
    const now = Date.now();
    if (this.#measuredAt && now - this.#measuredAt > AGAIN_MS) {
      this.#measuredAt = now;
      navigator.geolocation.getCurrentPosition((found) => this.#measured(found), () => {}, OPTIONS);
    }
    if (this.#next && !this.#isSending && now >= this.#notBefore) this.#send(this.#next);
  }

  /** @param {Place} place */
  async #send(place) {
    this.#isSending = true;
    const { latitude, longitude, accuracy, at } = place;
    const body = JSON.stringify({ coords: { latitude, longitude, accuracy }, timestamp: Math.round(at) });
    try {
      const answer = await fetch(`${this.path}/position${place.byHand ? "?by=hand" : ""}`, { method: "POST", body });
      if (answer.status === 409) this.#end("closed");
      else if (answer.status === 403 || answer.status === 404) this.#end("invalid");
      else if (!answer.ok && answer.status !== 422) throw new Error(String(answer.status));
      else this.#taken(place);
    } catch {
      this.isCut.value = true;
      this.#notBefore = Date.now() + RETRY_MS[Math.min(this.#failed++, RETRY_MS.length - 1)];
    } finally {
      this.#isSending = false;
    }
  }

  /** @param {Place} place */
  #taken(place) {
    if (this.#next === place) this.#next = null;
    this.#failed = 0;
    this.#notBefore = Date.now() + LEAST_MS;
    this.isCut.value = false;
    this.takenAt.value = Date.now();
    this.state.value = "sharing";
  }

  /** @param {"closed" | "invalid"} state */
  #end(state) {
    this.state.value = state;
    navigator.geolocation?.clearWatch(this.#watch);
    clearInterval(this.#timer);
  }
}
