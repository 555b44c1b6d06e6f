/**
 * The writing between the caller and this seat: what the caller types stands here while it is typed,
 * what the seat types stands in front of the caller likewise, and ends with Enter.
 */
import { html, signal, useEffect, useRef } from "/static/shared/view.js";
import { ageInWords, now, serverNow, timeOfDay } from "/static/shared/clock.js";
import { language, t } from "/static/shared/i18n.js";
import { newId } from "/static/shared/new_id.js";
import { word } from "/static/shared/words.js";
import { MessageTrouble } from "./case_alerts.js";
import { lentOf } from "./foreign.js";
import { speech } from "./speech.js";
import { HeardLine, SpeechBar } from "./speech_card.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */
/** @typedef {{turn: string, who: "caller" | "dispatcher", way: string, text: string, finished: boolean, corrected: boolean,
 *   begun_ms: number, ended_ms: number, seat: string, heard: string | null, confidence: number | null}} Turn */
/** @typedef {{turns: Turn[], reader: "opened" | "lost" | "closed" | null, way: string | null, needs: string[], language: string}} Conversation */
/** @typedef {{case: string, turn: string, who: "caller" | "dispatcher", text: string, finished?: boolean, at_ms: number, seat?: string}} Writing */
/** @typedef {{turn: string, text: string, way: string, begunMs: number, heard?: import("./speech.js").Heard}} Mine */
/** @typedef {{key: string, en: string, "zh-CN": string, only?: "with_unit" | "without_unit"}} Canned */

const NEEDS = ["deaf", "cannot_speak", "hard_of_hearing", "foreign_language"];
/** Least time between two drafts that are sent, ms: T.140 wants no more than 300. */
const DRAFT_MS = 100;
/** A caller's line that was whole so long after its first letter says when that was. */
const LATE_MS = 60_000;

/** What is being written and is not stored, and what this seat has begun to write. */
class Talk {
  /** Lines in the making, by turn. */
  live = signal(/** @type {Map<string, Writing>} */ (new Map()));
  /** What this seat has begun to write, by case: the name of its turn, and its text. */
  mine = signal(/** @type {Record<string, Mine>} */ ({}));
  canned = signal(/** @type {Canned[]} */ ([]));
  #timer = 0;

  async load() {
    const answer = await fetch("/static/page/canned.json");
    this.canned.value = answer.ok ? await answer.json() : [];
  }

  /** @param {Writing} message */
  take(message) {
    const live = new Map([...this.live.value].filter(([, one]) => one.case === message.case));
    if (message.text) live.set(message.turn, message);
    else live.delete(message.turn);
    this.live.value = live;
  }

  /** Forgets lines that are stored as they stand. @param {Turn[]} turns */
  settle(turns) {
    const stored = new Map(turns.map((one) => [one.turn, one]));
    const left = [...this.live.value].filter(([turn, one]) => {
      const known = stored.get(turn);
      return !known || (known.text !== one.text && one.who === "caller");
    });
    if (left.length < this.live.value.size) this.live.value = new Map(left);
  }

  /** @param {ConsoleState} state @param {string} id @param {string} text @param {string} [way] */
  type(state, id, text, way = "page") {
    const begun = this.mine.value[id] ?? { turn: newId(), begunMs: serverNow() };
    this.mine.value = { ...this.mine.value, [id]: { ...begun, text, way } };
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      const mine = this.mine.value[id];
      if (mine) state.socket.send({ type: "writing", case: id, turn: mine.turn, text: mine.text });
    }, DRAFT_MS);
  }

  /** @param {ConsoleState} state @param {string} id */
  say(state, id) {
    const mine = this.mine.value[id];
    if (!mine?.text.trim()) return;
    clearTimeout(this.#timer); // what is whole is no draft any more
    this.#timer = 0;
    const { heard } = mine;
    const spoken = heard ? { language: heard.language, ended_ms: heard.ended_ms, heard: heard.text, confidence: heard.confidence } : {};
    state.act({ action: "say_text", case: id, turn: mine.turn, text: mine.text, way: mine.way, begun_ms: mine.begunMs, ...spoken });
  }

  /** A turn was taken by the hub: its field is free again. @param {any} action */
  said(action) {
    if (this.mine.value[action.case]?.turn !== action.turn) return;
    const { [action.case]: _, ...others } = this.mine.value;
    this.mine.value = others;
  }

  /** Takes what was heard into the field, to be said as it was meant. @param {string} id @param {import("./speech.js").Heard} heard */
  correctHeard(id, heard) {
    this.mine.value = { ...this.mine.value, [id]: { turn: heard.turn, text: heard.text, way: "speech", begunMs: heard.begun_ms, heard } };
  }

  /** Takes a stored turn back into the field, to be said anew. @param {string} id @param {Turn} turn */
  correct(id, turn) {
    this.mine.value = { ...this.mine.value, [id]: { turn: turn.turn, text: turn.text, way: turn.way, begunMs: turn.begun_ms } };
  }
}

export const talk = new Talk();

/** The language that the caller reads. @param {Conversation} found @returns {"en" | "zh-CN"} */
function theirs(found) {
  const said = found.language || language.value;
  return said.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
}

/** @param {{one: Case, state: ConsoleState}} props */
export function TalkCard({ one, state }) {
  const found = /** @type {Conversation | undefined} */ (state.detail.value?.talk);
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const live = [...talk.live.value.values()].filter((line) => line.case === one.id);
  useEffect(() => box.current?.scrollTo({ top: box.current.scrollHeight }), [found?.turns.length, live.length, speech.heard.value]);
  const isText = one.call && ["text", "sms", "app"].includes(one.call.line);
  if (!found || (!found.reader && !found.turns.length && !isText)) return null;
  const known = new Set(found.turns.map((turn) => turn.turn));
  const fresh = new Map(live.map((line) => [line.turn, line]));
  const heard = [...speech.heard.value.values()].filter((line) => line.case === one.id);
  const own = new Set(heard.map((line) => line.turn));
  const isBelow = isGuided(state); // what waits stays in view there, see HeldLines
  const mine = talk.mine.value[one.id];
  const correct = (/** @type {import("./speech.js").Heard} */ line) => { talk.correctHeard(one.id, line); focusField(); };
  return html`<section class="talk card" aria-label=${t("talk.label")}>
    <header class="talk-head"><h3 class="muted">${t("talk.label")}</h3>
      <span class=${found.reader === "lost" ? "warn" : "muted"} role="status">${t(`talk.reader_${found.reader ?? "none"}`)}</span>
      <${Needs} one=${one} state=${state} found=${found} /></header>
    <${MessageTrouble} one=${one} state=${state} />
    <div class="turns" ref=${box} role="log" aria-live="polite" tabindex="0" aria-label=${t("talk.label")}><ol>
      ${found.turns.map((turn) => html`<${TurnLine} key=${turn.turn} one=${one} turn=${turn} live=${fresh.get(turn.turn)} state=${state} />`)}
      ${live.filter((line) => !known.has(line.turn) && !own.has(line.turn)).map((line) => html`<${LiveLine} key=${line.turn} line=${line} state=${state} />`)}
      ${heard.filter((line) => !known.has(line.turn) && line.turn !== mine?.turn && !(isBelow && line.wait !== "draft")).map((line) => html`<${HeardLine} key=${line.turn} one=${line} state=${state} correct=${correct} mayCorrect=${!mine?.text} />`)}
    </ol></div>
    ${!one.closed_ms && html`<${SpeechBar} one=${one} />`}
    ${!one.closed_ms && html`<${Field} one=${one} state=${state} found=${found} />`}
  </section>`;
}

/** What this seat said that waits for a look, at the foot of the case while the guide takes its room. @param {{one: Case, state: ConsoleState}} props */
export function HeldLines({ one, state }) {
  const turns = new Set(state.detail.value?.talk.turns.map((turn) => turn.turn));
  const mine = talk.mine.value[one.id];
  const waiting = !isGuided(state) ? [] : [...speech.heard.value.values()].filter((line) => line.case === one.id && line.wait !== "draft" && !turns.has(line.turn) && line.turn !== mine?.turn);
  const correct = (/** @type {import("./speech.js").Heard} */ line) => { talk.correctHeard(one.id, line); focusField(); };
  const isThere = waiting.length > 0;
  useEffect(() => { // it covers nothing of the guide that is being walked
    if (isThere) document.activeElement?.closest(".guide")?.scrollIntoView({ block: "nearest" });
  }, [isThere]);
  if (!isThere) return null;
  return html`<ol class="held-lines card" aria-label=${t("talk.held")}>${waiting.map((line) => html`<${HeardLine} key=${line.turn} one=${line} state=${state} correct=${correct} mayCorrect=${!mine?.text} isBelow=${true} />`)}</ol>`;
}

/** @param {ConsoleState} state */
const isGuided = (state) => state.detail.value?.guide?.some((run) => run.is_on) ?? false;

/** Who says a line: the caller, this seat, or another one by its name. @param {{who: string, seat?: string}} line @param {ConsoleState} state */
function sayer({ who, seat }, state) {
  const { region, seat: own } = state.about.value;
  return who === "caller" || !seat || seat === own || seat === `${region}/${own}` ? t(`talk.${who}`) : seat;
}

/** @param {{one: Case, turn: Turn, live: Writing | undefined, state: ConsoleState}} props */
function TurnLine({ one, turn, live, state }) {
  const text = live?.text ?? turn.text;
  const mayCorrect = turn.who === "dispatcher" && turn.seat === state.about.value.seat && !one.closed_ms;
  return html`<li class="turn ${turn.who}"><span class="muted small number">${timeOfDay(turn.ended_ms)} ${sayer(turn, state)}</span>
    <span class="said">${marked(text)}${(live || !turn.finished) && turn.who === "caller" && html`<span class="cursor" aria-hidden="true">▏</span>`}</span>
    ${turn.way === "speech" && turn.confidence !== null && html`<span class="small muted number" title=${turn.heard ?? ""}>${t("speech.sure", { percent: Math.round(100 * turn.confidence) })}${turn.heard !== null && turn.heard !== text ? ` · ${t("speech.heard_as", { text: turn.heard })}` : ""}</span>`}
    ${turn.who === "caller" && turn.ended_ms - turn.begun_ms >= LATE_MS && html`<span class="small muted number">${t("talk.begun", { time: timeOfDay(turn.begun_ms) })}</span>`}
    ${turn.corrected && html`<span class="small muted">${t("talk.corrected")}</span>`}
    ${turn.who === "caller" && html`<${Spoken} turn=${turn} text=${text} />`}
    ${mayCorrect && html`<button class="small" onClick=${() => { talk.correct(one.id, turn); focusField(); }}>${t("talk.correct")}</button>`}</li>`;
}

/** Whether a caller's words sound now, and once more. @param {{turn: Turn, text: string}} props */
function Spoken({ turn, text }) {
  const isSounding = speech.sounding.value?.turn === turn.turn;
  const isMissing = speech.unspoken.value.has(turn.turn);
  if (speech.speaks.value?.condition === "off" || !speech.isVoiceOn.value) return null;
  return html`<button class="small again" aria-label=${t("speech.again")} title=${t(isMissing ? "speech.unspoken" : "speech.again")} data-sounding=${isSounding}
    onClick=${() => speech.again(text, speech.spoken.value)}>${isSounding ? "🔊" : isMissing ? "🔇" : "▷"}</button>`;
}

/** @param {{line: Writing, state: ConsoleState}} props */
function LiveLine({ line, state }) {
  return html`<li class="turn ${line.who} live"><span class="muted small number">${ageInWords(Math.max(0, now.value - line.at_ms))} ${sayer(line, state)}</span>
    <span class="said">${marked(line.text)}<span class="cursor" aria-hidden="true">▏</span></span></li>`;
}

/** Text with what was lost on its way marked. @param {string} text */
function marked(text) {
  return text.split("\uFFFD").flatMap((part, index) => index === 0 ? [part]
    : [html`<mark class="lost" title=${t("talk.lost")}>…?…</mark>`, part]);
}

/** How one has to talk with the caller. @param {{one: Case, state: ConsoleState, found: Conversation}} props */
function Needs({ one, state, found }) {
  const toggle = (/** @type {string} */ need) => {
    const needs = found.needs.includes(need) ? found.needs.filter((other) => other !== need) : [...found.needs, need];
    state.act({ action: "note_profile", case: one.id, needs, language: found.language });
  };
  return html`<span class="needs">${NEEDS.map((need) => html`<button class="small" aria-pressed=${found.needs.includes(need)}
    disabled=${Boolean(one.closed_ms)} onClick=${() => toggle(need)}>${word("need", need)}</button>`)}</span>`;
}

/** Another seat that has the caller; empty where none has. @param {Case} one @param {ConsoleState} state */
function holder({ call }, state) {
  const { region, seat } = state.about.value;
  return call && call.phase !== "ended" && ![seat, `${region}/${seat}`].includes(call.seat) ? call.seat : "";
}

/** @param {{one: Case, state: ConsoleState, found: Conversation}} props */
function Field({ one, state, found }) {
  const mine = talk.mine.value[one.id];
  const isSent = one.unit !== null && !one.run_ended_ms || lentOf(one) !== undefined;
  const replies = talk.canned.value.filter(({ only }) => !only || (only === "with_unit") === isSent); // nobody is told of help that was not sent
  const listed = mine?.text.startsWith("/") ? replies : [];
  const onInput = (/** @type {InputEvent} */ event) => {
    const { value } = /** @type {HTMLTextAreaElement} */ (event.target);
    const chosen = /^\/([1-9])$/.exec(value);
    const reply = chosen && replies[Number(chosen[1]) - 1];
    if (reply) talk.type(state, one.id, reply[theirs(found)], "canned");
    else if (value.startsWith("/")) talk.mine.value = { ...talk.mine.value, [one.id]: { turn: mine?.turn ?? newId(), text: value, way: "page", begunMs: serverNow() } };
    else talk.type(state, one.id, value, mine && ["canned", "speech"].includes(mine.way) ? mine.way : "page");
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!mine?.text.startsWith("/")) talk.say(state, one.id);
  };
  const other = holder(one, state);
  return html`<div class="talk-field">
    ${other && html`<p class="talk-other" role="status"><strong class="warn">${t("talk.other_seat", { seat: other })}</strong></p>`}
    ${listed.length > 0 && html`<ol class="canned">${listed.map((reply, index) => html`<li><button onClick=${() => { talk.type(state, one.id, reply[theirs(found)], "canned"); focusField(); }}>
      <kbd>${index + 1}</kbd> ${reply[theirs(found)]}</button></li>`)}</ol>`}
    <textarea data-key="talk" name="talk" rows="2" maxlength="2000" placeholder=${t("talk.hint")} aria-label=${t("talk.hint")}
      lang=${theirs(found)} data-enter=${t("talk.say_to", { who: t("talk.caller") })} value=${mine?.text ?? ""} onInput=${onInput} onKeyDown=${onKeyDown}></textarea>
    <button class="main" disabled=${!mine?.text.trim() || mine.text.startsWith("/") || state.isSending("say_text", one.id)}
      onClick=${() => talk.say(state, one.id)}>${t("talk.say")} <kbd>⏎</kbd></button></div>`;
}

function focusField() {
  requestAnimationFrame(() => /** @type {HTMLElement | null} */ (document.querySelector("[data-key=talk]"))?.focus());
}
