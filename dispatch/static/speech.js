/**
 * The bridge to a caller who reads and writes: this seat's microphone becomes text in front of the
 * caller, the caller's sentences become a voice here. What the recognition may have misheard waits
 * until this seat has looked at it.
 */
import { signal } from "/static/shared/view.js";
import { language } from "/static/shared/i18n.js";
import { PageSocket } from "/static/shared/socket.js";
import { isMine } from "./call_order.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {{condition: "starting" | "ready" | "overloaded" | "off", reason: string, engine: string, languages: string[]}} Engine */
/** @typedef {{begin: number, end: number, kind: string, value: string, read_back: string}} Doubt */
/** @typedef {{case: string, turn: string, text: string, language: string, confidence: number, is_doubtful: boolean,
 *   begun_ms: number, ended_ms: number, wait: "" | "draft" | "doubts" | "confidence" | "no_page" | "not_stored", doubts: Doubt[]}} Heard */

const HEARING_HZ = 16_000;
const SPEAKING_HZ = 24_000;
/** The first block waits so long: the next is there before it ends. */
const LEAD_S = 0.03;
const VOICE_OFF = "forerun.voice_off";

export class Speech {
  hears = signal(/** @type {Engine | null} */ (null));
  speaks = signal(/** @type {Engine | null} */ (null));
  /** The microphone: of which case, and whether it hears. */
  mic = signal(/** @type {{case: string, phase: "asking" | "on" | "refused" | "unusable", reason: string} | null} */ (null));
  /** How loud it is, 0 to 1. */
  level = signal(0);
  /** What this seat says and what of it waits, by turn. */
  heard = signal(/** @type {Map<string, Heard>} */ (new Map()));
  isVoiceOn = signal(localStorage.getItem(VOICE_OFF) === null);
  /** What sounds now. */
  sounding = signal(/** @type {{number: number, turn: string, why: string} | null} */ (null));
  /** Turns of the caller that were not spoken. */
  unspoken = signal(/** @type {Set<string>} */ (new Set()));
  /** The language that is spoken into the microphone. */
  spoken = signal(/** @type {"en" | "zh"} */ (language.value === "zh-CN" ? "zh" : "en"));
  #voice = /** @type {string | null} */ (null);
  /** @type {AudioContext | null} */ #out = null;
  /** @type {AudioContext | null} */ #in = null;
  /** @type {MediaStream | null} */ #stream = null;
  #endsAt = 0;
  /** @type {Map<number, {turn: string, why: string, began: boolean}>} */ #told = new Map();
  /** @type {Set<AudioBufferSourceNode>} */ #sounds = new Set();

  start() {
    this.socket = new PageSocket("/speech", {
      onState: (message) => this.#take(message),
      onFrame: (frame) => this.#play(frame),
      onLive: () => {
        const { mic } = this;
        this.#askVoice(this.#voice);
        if (mic.value) this.#listen(mic.value.case);
      },
    });
  }

  /** Follows what the console shows: whose voice is heard. @param {ConsoleState} state */
  follow(state) {
    const { seat } = state.about.value;
    const shown = state.case.value;
    const mine = shown && isMine(shown, seat) ? shown : state.queue.value.find((one) => isMine(one, seat)) ?? shown;
    const wanted = this.isVoiceOn.value && mine && !mine.home && !mine.closed_ms ? mine.id : null;
    if (wanted !== this.#voice) this.#askVoice(wanted);
    const open = this.mic.value && [...state.queue.value].some((one) => one.id === this.mic.value?.case);
    if (this.mic.value && state.about.value.known && !open) this.stop();
  }

  toggleVoice() {
    this.isVoiceOn.value = !this.isVoiceOn.value;
    if (this.isVoiceOn.value) localStorage.removeItem(VOICE_OFF);
    else {
      localStorage.setItem(VOICE_OFF, "1");
      this.#hush();
    }
  }

  /** Switches the microphone on for a case, or off. @param {string | undefined} id @returns {boolean} whether there was anything to switch */
  toggleMic(id) {
    if (this.mic.value) this.stop();
    else if (id) void this.#open(id);
    return Boolean(id) || Boolean(this.mic.value);
  }

  stop() {
    this.socket?.send({ type: "stop" });
    this.mic.value = null;
    this.level.value = 0;
    this.#stream?.getTracks().forEach((track) => track.stop());
    void this.#in?.close();
    this.#stream = this.#in = null;
  }

  /** Speaks something once more. @param {string} text @param {"en" | "zh"} spoken */
  again(text, spoken) {
    this.socket?.send({ type: "say", text, language: spoken });
  }

  /** @param {Heard} one */
  discard(one) {
    this.socket?.send({ type: "discard", case: one.case, turn: one.turn });
    this.#forget(one.turn);
  }

  /** @param {string} id */
  async #open(id) {
    this.mic.value = { case: id, phase: "asking", reason: "" };
    try {
      const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
      this.#stream = await navigator.mediaDevices.getUserMedia({ audio });
      this.#in = new AudioContext({ sampleRate: HEARING_HZ });
      await this.#in.audioWorklet.addModule("/static/page/mic_worklet.js");
      if (this.mic.value?.case !== id) return this.stop(); // switched off meanwhile
      const node = new AudioWorkletNode(this.#in, "microphone", { numberOfOutputs: 0 });
      node.port.onmessage = ({ data }) => {
        if (this.mic.value?.phase === "on") this.socket?.send(data.buffer);
        this.level.value = Math.max(data.level, this.level.value * 0.8);
      };
      this.#in.createMediaStreamSource(this.#stream).connect(node);
      this.#listen(id);
    } catch (error) {
      this.stop();
      this.mic.value = { case: id, phase: "refused", reason: error instanceof Error ? error.name : String(error) };
      setTimeout(() => { if (this.mic.value?.phase === "refused") this.mic.value = null; }, 8000);
    }
    return undefined;
  }

  /** @param {string} id */
  #listen(id) {
    this.socket?.send({ type: "listen", case: id, language: this.spoken.value });
  }

  /** @param {string | null} id */
  #askVoice(id) {
    this.#voice = id;
    this.socket?.send({ type: "voice", case: id, language: language.value === "zh-CN" ? "zh" : "en" });
  }

  /** @param {any} message */
  #take(message) {
    switch (message.type) {
      case "engines":
        this.hears.value = message.hears;
        this.speaks.value = message.speaks;
        return;
      case "listening":
        if (this.mic.value?.case === message.case) {
          this.mic.value = { case: message.case, phase: message.usable ? "on" : "unusable", reason: message.reason };
        }
        return;
      case "heard":
        if (message.text && message.wait) this.heard.value = new Map(this.heard.value).set(message.turn, message);
        else this.#forget(message.turn);
        return;
      case "settled": return this.#forget(message.turn);
      case "speaking":
        this.#told.set(message.number, { turn: message.turn, why: message.why, began: false });
        return;
      case "unspoken":
        if (message.turn) this.unspoken.value = new Set(this.unspoken.value).add(message.turn);
        return;
      default:
    }
  }

  /** @param {string} turn */
  #forget(turn) {
    const left = new Map(this.heard.value);
    if (left.delete(turn)) this.heard.value = left;
  }

  /** Plays a block after those that are there. @param {ArrayBuffer} frame */
  #play(frame) {
    const number = new DataView(frame).getUint32(0);
    const known = this.#told.get(number);
    if (!known || !this.isVoiceOn.value) return;
    this.#out ??= new AudioContext({ sampleRate: SPEAKING_HZ });
    void this.#out.resume();
    const samples = Float32Array.from(new Int16Array(frame.slice(4)), (value) => value / 32768);
    const buffer = this.#out.createBuffer(1, samples.length, SPEAKING_HZ);
    buffer.copyToChannel(samples, 0);
    const source = this.#out.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#out.destination);
    const at = Math.max(this.#endsAt, this.#out.currentTime + LEAD_S);
    this.#endsAt = at + buffer.duration;
    this.#sounds.add(source);
    source.onended = () => this.#ended(source, number);
    source.start(at);
    if (known.began) return;
    known.began = true;
    setTimeout(() => {
      this.socket?.send({ type: "started", number });
      this.sounding.value = { number, turn: known.turn, why: known.why };
    }, 1000 * (at - this.#out.currentTime));
  }

  /** @param {AudioBufferSourceNode} source @param {number} number */
  #ended(source, number) {
    this.#sounds.delete(source);
    if (this.#sounds.size === 0 && this.sounding.value?.number === number) this.sounding.value = null;
    for (const older of this.#told.keys()) if (older < number - 8) this.#told.delete(older);
  }

  #hush() {
    for (const source of this.#sounds) source.stop();
    this.#sounds.clear();
    this.#endsAt = 0;
    this.sounding.value = null;
  }
}

export const speech = new Speech();
