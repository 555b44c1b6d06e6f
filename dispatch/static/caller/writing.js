/**
 * Writing with the dispatcher: every character goes as it is typed, none twice and none never. What
 * the hub has not taken stays here, and goes again when the link is back. The characters go by a
 * WebRTC data channel where one stands, else by the page's WebSocket, which carries all the rest.
 */
import { signal } from "/static/shared/view.js";
import { newId } from "/static/shared/new_id.js";
import { PageSocket } from "/static/shared/socket.js";
import { T140Typing } from "/static/shared/t140.js";
import { forget, keep, kept } from "./kept.js";

/** @typedef {{turn: string, who: "caller" | "dispatcher", text: string, finished: boolean, corrected: boolean, begun_ms: number, ended_ms: number, latency_ms: number | null}} Turn */
/**
 * @typedef {object} GuideStep
 * @property {string} run @property {string} step @property {string} kind @property {{en: string, zh: string}} text
 * @property {string} pictogram @property {number} metronome_per_min @property {{id: string, text: {en: string, zh: string}}[]} answers
 * @property {{ago_ms: number | null, due_ms: number} | null} change how long ago another one began to push, and in how long the next is to
 */

/** Characters that go at once at the most. */
const PIECE = 1000;
/** Least time between two transmissions, ms: of 300 that T.140 allows, the network may have the rest. */
const EVERY_MS = 50;
/** Pause before the page says again who it is. */
const HELLO_AGAIN_MS = 1000;
/** The data channel is tried so long after the page is there: first things first. */
const CHANNEL_AFTER_MS = 2000;
/** What the hub has not taken after so long goes by the WebSocket as well. */
const SILENT_MS = 1500;
const LOOK_MS = 250;
/** A second's characters: what is pasted should not take a minute, as it may with a text telephone. */
const PER_S = 300;

const KEPT = "forerun.writing";
/** Characters of one line, as the hub takes them; what is longer goes in several. */
const LONGEST_LINE = 2000;
/** Characters of lines that wait in the typing, which refuses more than 10 000. */
const MOST_FED = 6000;
/** The hub shows nobody what is not seen and yet acts (streams/plain_text.py); nor does this page. */
// eslint-disable-next-line no-control-regex
const UNSEEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** Half a character, and the mark of lost text, are typed as a box: the hub's mark is the hub's. */
const BROKEN = /[\ud800-\udfff\ufffd]/gu;

export class Writing {
  turns = signal(/** @type {Turn[]} */ ([]));
  /** What the dispatcher types or says and has not ended, the oldest first. */
  drafts = signal(/** @type {{turn: string, text: string, begun_ms: number}[]} */ ([]));
  /** What the caller is to do or to answer now. */
  step = signal(/** @type {GuideStep | null} */ (null));
  /** Where call and help stand; null before the hub said so. */
  status = signal(/** @type {import("./status.js").Stands | null} */ (null));
  /** The number that was called, if it is known. */
  dialled = signal("");
  /** Where the video is, and what the dispatcher shows; null before the hub said so. */
  video = signal(/** @type {import("./video_offer.js").VideoState | null} */ (null));
  /** What stands in the field. */
  field = signal("");
  needs = signal(/** @type {string[]} */ ([]));
  /** Whether anybody can read what is written; false once the case is closed. */
  isOpen = signal(true);
  /** Whether all that was typed has been taken. */
  isTaken = signal(true);
  isStarted = signal(false);
  /** @type {PageSocket | null} */ socket = null;
  #session = newId();
  #typing = new T140Typing({ intervalMs: EVERY_MS, charactersPerS: PER_S });
  /** @type {string[]} all characters of this session: a hub that was killed may have less than it had taken */ #written = [];
  /** So many of them the hub has, and so many are on their way or there. */
  #had = 0;
  #sent = 0;
  /** @type {string[]} lines that the typing has no room for yet */ #ended = [];
  /** Characters that it was given since all was gone. */
  #fed = 0;
  #timer = 0;
  #isWelcome = false;
  #wasWelcome = false;
  #isLeft = false;
  /** @type {import("./text_channel.js").TextChannel | null} */ #channel = null;
  #channelTimer = 0;
  #watch = 0;
  /** Since when the hub owes an answer; 0: it does not. */
  #owedSince = 0;
  /** Lines of this session that were ended here and did not come back yet. */
  mine = signal(/** @type {string[]} */ ([]));

  /** @param {string} path of the page, `/here/<token>` @param {() => string} language */
  constructor(path, language) {
    this.path = path;
    this.language = language;
    this.#restore();
    addEventListener("pagehide", () => this.#keep());
  }

  /** Keeps what the hub does not have for this tab's next page: a reload loses nothing that was typed. */
  #keep() {
    const drain = () => {
      for (let at = performance.now(); this.#feed(); at += 1000) this.#written.push(...this.#typing.take(at));
    };
    drain();
    if (this.#isLeft || this.#had === this.#written.length) return; // a line that the hub has stays as it is: not ended
    if (this.field.value.trim()) {
      this.end(); // the next page's field is empty
      drain();
    }
    keep(KEPT + this.path, { session: this.#session, written: this.#written, mine: this.mine.value });
  }

  #restore() {
    const before = kept(KEPT + this.path);
    if (!before) return;
    keep(KEPT + this.path, null);
    const { session, written, mine } = before;
    this.#session = session;
    this.#written = written;
    this.mine.value = mine;
    this.#wasWelcome = true; // the hub says first how much of it has come
    this.isTaken.value = false;
  }

  /** Connects; until then, and without a network, what is written waits. */
  start() {
    this.socket = new PageSocket(`${this.path}/text`, {
      onState: (message) => this.#take(message),
      onLive: () => {
        // A session that never spoke begins at 0: its characters may follow at once.
        this.#isWelcome = !this.#wasWelcome;
        this.#hello();
        if (this.#isWelcome) this.#again();
      },
    });
    this.isStarted.value = true;
    this.#watch = setInterval(() => this.#look(), LOOK_MS);
  }

  #hello() {
    this.socket?.send({ type: "hello", session: this.#session, language: this.language() });
  }

  /** Whether the characters go over the data channel now. */
  get hasChannel() {
    return this.#channel?.isOpen === true;
  }

  #openChannel() {
    if (this.#channel || this.#channelTimer || !this.isOpen.value) return;
    this.#channelTimer = setTimeout(() => {
      const events = {
        onOpen: () => this.#again(),
        onLost: () => this.#again(),
        onTaken: (/** @type {number} */ count) => this.#taken(count),
      };
      import("./text_channel.js").then(({ TextChannel }) => {
        this.#channel = new TextChannel(this.path, this.#session, events);
      }).catch(() => { this.#channelTimer = 0; }); // no connection: once more when there is one
    }, CHANNEL_AFTER_MS);
  }

  /** Another way, or the same one anew: what is not known to be taken goes again. */
  #again() {
    this.#sent = this.#had;
    this.#owedSince = 0;
    this.#flush();
  }

  /** A channel that brings no answer is given up, long before the browser does. */
  #look() {
    if (this.#owedSince && performance.now() - this.#owedSince > SILENT_MS) {
      if (this.hasChannel) this.#channel?.drop();
      else this.#owedSince = 0;
    }
  }

  /** Whether there is no connection, and there was one or should be by now. */
  get isCut() {
    return this.isStarted.value && this.socket?.link.value.state === "lost";
  }

  /**
   * Takes what stands in the field; its lines that are ended, or too long, go.
   * @param {string} value @returns {string} what is to stand there from now on
   */
  take(value) {
    const lines = value.split(/[\n\x85\u2028\u2029]/).flatMap(pieces);
    const last = lines.pop() ?? "";
    for (const line of lines) {
      this.type(line);
      this.end();
    }
    this.type(last);
    return last;
  }

  /** @param {string} typed all of the line that is being written */
  type(typed) {
    const text = typed.replaceAll("\t", " ").replace(UNSEEN, "").replace(BROKEN, "\u25a1");
    this.field.value = text;
    this.#feed();
    this.#go();
  }

  /** Ends the line; of one that says nothing no more is left. */
  end() {
    if (!this.field.value.trim()) return this.type("");
    this.mine.value = [...this.mine.value, this.field.value];
    this.#ended.push(this.field.value);
    return this.type("");
  }

  /** Gives the typing what it may hold of the lines, then what is being written. @returns {boolean} whether anything waits */
  #feed() {
    if (this.#typing.isIdle) this.#fed = 0;
    while (this.#ended.length && this.#fed < MOST_FED) {
      const line = /** @type {string} */ (this.#ended.shift());
      this.#fed += line.length;
      this.#typing.edit(line);
      this.#typing.endLine();
    }
    if (!this.#ended.length) this.#typing.edit(this.field.value);
    return !this.#typing.isIdle;
  }

  /** Says a whole line, as a pictogram does; what stands in the field stays behind it. @param {string} text */
  say(text) {
    const kept = this.field.value;
    this.type(text);
    this.end();
    this.type(kept);
  }

  /** @param {string[]} needs */
  tellNeeds(needs) {
    this.needs.value = needs;
    this.socket?.send({ type: "needs", needs, language: this.language() });
  }

  /** Says that the caller leaves; nothing is shown any more. */
  leave() {
    this.#isLeft = true; // nothing stays on the phone
    forget();
    this.socket?.send({ type: "bye" });
    this.stop();
  }

  /** Ends all ways to the hub. */
  stop() {
    clearTimeout(this.#channelTimer);
    clearInterval(this.#watch);
    this.#channel?.end();
    this.socket?.close();
  }

  /** Brings what was typed on its way, when it is due. */
  #go() {
    if (this.#timer) return;
    const due = this.#typing.due(performance.now());
    if (due === null) return;
    this.isTaken.value = false;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#written.push(...this.#typing.take(performance.now())); // by code points, as the hub counts
      if (this.#ended.length) this.#feed();
      this.#flush();
      this.#go();
    }, Math.max(0, due - performance.now()));
  }

  #flush() {
    while (this.#sent < this.#written.length) {
      const piece = this.#written.slice(this.#sent, this.#sent + PIECE);
      if (!this.#send(this.#sent, piece)) return;
      this.#sent += piece.length;
      this.#owedSince ||= performance.now();
    }
  }

  /** @param {number} start @param {string[]} piece @returns {boolean} whether it is on its way */
  #send(start, piece) {
    if (this.#channel?.isOpen) return this.#channel.send(start, piece);
    return this.#isWelcome && this.socket?.send({ type: "text", start, text: piece.join("") }) === true;
  }

  /** @param {number} count characters that the hub has */
  #taken(count) {
    const had = Math.min(count, this.#written.length);
    if (had > this.#had) {
      this.#had = had;
      this.#sent = Math.max(this.#sent, had);
      this.#owedSince = this.#sent > had ? performance.now() : 0;
    }
    this.isTaken.value = this.#had === this.#written.length && this.#typing.isIdle;
    this.#flush(); // what a full channel did not take
  }

  /** @param {any} message */
  #take(message) {
    switch (message.type) {
      case "welcome":
        this.#welcomeTurns(message.turns);
        this.drafts.value = message.drafts;
        this.step.value = message.step;
        this.needs.value = message.needs;
        this.isOpen.value = message.open;
        this.video.value = message.video;
        this.status.value = message.status;
        this.dialled.value = message.dialled;
        this.#had = 0; // it may be another hub, which has only what was stored
        this.#taken(message.taken);
        this.#isWelcome = this.#wasWelcome = true;
        this.#openChannel();
        return this.#again();
      case "taken": return this.#taken(message.count);
      case "writing":
        return this.#draft(message);
      case "turn": return this.#turn(message.turn);
      case "status":
        this.status.value = message.status;
        return undefined;
      case "video":
        this.video.value = message.video;
        return undefined;
      case "step":
        this.step.value = message.step.step ? message.step : null;
        return undefined;
      case "error": // the hub could not store that we are here, or had not yet: once more
        if (!this.#wasWelcome) setTimeout(() => this.#hello(), HELLO_AGAIN_MS);
        return undefined;
      case "closed":
        this.isOpen.value = false;
        this.#channel?.end();
        return undefined;
      default: return undefined;
    }
  }

  /** @param {{turn: string, text: string, begun_ms: number}} draft */
  #draft(draft) {
    const others = this.drafts.value.filter((one) => one.turn !== draft.turn);
    this.drafts.value = draft.text ? [...others, draft].sort((a, b) => a.begun_ms - b.begun_ms) : others;
  }

  /** @param {Turn} turn */
  #turn(turn) {
    this.drafts.value = this.drafts.value.filter((one) => one.turn !== turn.turn);
    const others = this.turns.value.filter((one) => one.turn !== turn.turn);
    const at = others.findIndex((one) => placeOf(one) > placeOf(turn));
    this.turns.value = at < 0 ? [...others, turn] : [...others.slice(0, at), turn, ...others.slice(at)];
    this.#cameBack(turn);
  }

  /** Takes all turns anew; some may have come back while the link was away. @param {Turn[]} turns */
  #welcomeTurns(turns) {
    const known = new Set(this.turns.value.filter((one) => one.finished).map((one) => one.turn));
    this.turns.value = turns;
    for (const turn of turns) if (!known.has(turn.turn)) this.#cameBack(turn);
  }

  /** A line of ours that is stored does not wait any more. @param {Turn} turn */
  #cameBack(turn) {
    if (turn.who !== "caller" || !turn.finished) return;
    const index = this.mine.value.indexOf(turn.text);
    if (index >= 0) this.mine.value = this.mine.value.filter((_, other) => other !== index);
  }
}

/**
 * A line in as many as it takes, cut at a space where one is near. What somebody still writes is cut
 * once it is too long, so its end is the line that goes on.
 * @param {string} line @returns {string[]} at least one
 */
function pieces(line) {
  const found = [];
  let points = [...line];
  while (points.length > LONGEST_LINE) {
    const space = points.lastIndexOf(" ", LONGEST_LINE - 1) + 1;
    const cut = space > LONGEST_LINE * 0.9 ? space : LONGEST_LINE;
    found.push(points.slice(0, cut).join(""));
    points = points.slice(cut);
  }
  return [...found, points.join("")];
}

/** When a turn was whole, and read: an answer that was begun before its question stands behind it, as at the seat. @param {Turn} turn */
const placeOf = (turn) => turn.ended_ms + (turn.latency_ms ?? 0);
