/**
 * Real-time text in pages: what a receiver of ITU-T T.140 shows, and what a field that a person
 * edits sends. The same as `streams/graphemes.py`, `streams/t140.py`, `streams/t140_controls.py` and
 * `streams/t140_typing.py`, which say what each code does and why; a test in a real browser holds
 * the two together. One file, as the caller's page pays for each round trip.
 *
 * Characters are the clusters of UAX #29 by rules of our own and not by `Intl.Segmenter`: both ends
 * must agree what one backspace erases, and a browser's rules change with its version.
 */

/** The mark of lost text (T.140 Addendum 1). */
export const MISSING = "\ufffd";
export const LINE_SEPARATOR = "\u2028";
const BACKSPACE = "\b";
const BYTE_ORDER_MARK = "\ufeff";

/** Code points in one cluster. */
const LONGEST_CLUSTER = 30;
const LONGEST_STRING = 255;
const LONGEST_SEQUENCE = 32;
/** Characters in a field, and in lines that wait to be sent. */
export const LONGEST_FIELD = 10_000;

/** What of a code point decides whether it joins; OTHER is the rest. */
const OTHER = 0, CONTROL = 1, MARK = 2, JOINER = 3, PREFIX = 4, FLAG_LETTER = 5, PICTOGRAPH = 6;
const LEADING = 7, VOWEL = 8, TRAILING = 9, OPEN_SYLLABLE = 10, CLOSED_SYLLABLE = 11;

/** Code points by kind, the first that fits. @type {[RegExp, number][]} */
const KINDS = [
  [/[\u200c\u0e33\u0eb3\uff9e\uff9f\u{1f3fb}-\u{1f3ff}\u{e0020}-\u{e007f}]/u, MARK],
  [/\u200d/u, JOINER],
  [/[\u{1f1e6}-\u{1f1ff}]/u, FLAG_LETTER],
  [/[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\u{110bd}\u{110cd}\u{111c2}\u{111c3}]/u, PREFIX],
  [/[\u102b\u102c\u1038\u1062-\u1064\u1067-\u106d\u1083\u1087-\u108c\u108f\u109a-\u109c\u1a61\u1a63]/u,
    OTHER],
  [/[\u1a64\uaa7b\uaa7d\u{11720}\u{11721}]/u, OTHER],
  [/[\u1100-\u115f\ua960-\ua97c]/u, LEADING],
  [/[\u1160-\u11a7\ud7b0-\ud7c6]/u, VOWEL],
  [/[\u11a8-\u11ff\ud7cb-\ud7fb]/u, TRAILING],
  [/[\u00a9\u00ae\u203c\u2049\u2100-\u214f\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf]/u, PICTOGRAPH],
  [/[\u2900-\u297f\u2b00-\u2bff\u3030\u303d\u3297-\u3299\u{1f000}-\u{1faff}\u{1fc00}-\u{1fffd}]/u,
    PICTOGRAPH],
  [/\p{M}/u, MARK],
  [/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, CONTROL],
];

/** What of a Hangul syllable takes which parts after it. @type {Record<number, number[]>} */
const HANGUL_TAKES = {
  [LEADING]: [LEADING, VOWEL, OPEN_SYLLABLE, CLOSED_SYLLABLE],
  [OPEN_SYLLABLE]: [VOWEL, TRAILING],
  [VOWEL]: [VOWEL, TRAILING],
  [CLOSED_SYLLABLE]: [TRAILING],
  [TRAILING]: [TRAILING],
};
const OF_A_LOST_CHARACTER = [MARK, JOINER, FLAG_LETTER, VOWEL, TRAILING];

/** @param {string} character one code point @returns {number} its kind */
function kindOf(character) {
  const point = character.codePointAt(0) ?? 0;
  if (point < 0x300 && point > 0xae) return OTHER;
  if (point >= 0x20 && point < 0x7f) return OTHER;
  if (point >= 0x3400 && point < 0xa000) return OTHER;
  if (point >= 0xac00 && point <= 0xd7a3) {
    return (point - 0xac00) % 28 === 0 ? OPEN_SYLLABLE : CLOSED_SYLLABLE;
  }
  return KINDS.find(([points]) => points.test(character))?.[1] ?? OTHER;
}

/**
 * Whether a code point goes on with the cluster before it (UAX #29, rules GB3 to GB13).
 * @param {string} cluster not empty
 * @param {string} character one code point
 * @returns {boolean}
 */
export function joins(cluster, character) {
  const points = [...cluster];
  const last = kindOf(points[points.length - 1]);
  const kind = kindOf(character);
  if (last === CONTROL || kind === CONTROL || points.length >= LONGEST_CLUSTER) return false;
  if (kind === MARK || kind === JOINER || last === PREFIX) return true;
  if (kind === FLAG_LETTER) {
    return last === kind && (points.length === 1 || kindOf(points[points.length - 2]) !== kind);
  }
  if (kind === PICTOGRAPH) {
    if (last !== JOINER) return false;
    const base = points.slice(0, -1).reverse().find((point) => kindOf(point) !== MARK);
    return base !== undefined && kindOf(base) === PICTOGRAPH;
  }
  return HANGUL_TAKES[last]?.includes(kind) ?? false;
}

const TEXT = 0, ESCAPE = 1, SEQUENCE = 2, STRING = 3, STRING_ESCAPE = 4;
/** C1 controls that begin something: CSI; DCS, SOS, OSC, PM, APC. @type {Record<string, number>} */
const INTRODUCERS = {
  "\x1b": ESCAPE, "\x9b": SEQUENCE,
  "\x90": STRING, "\x98": STRING, "\x9d": STRING, "\x9e": STRING, "\x9f": STRING,
};
/** The same as two characters. @type {Record<string, number>} */
const AFTER_ESCAPE = {
  "[": SEQUENCE, "P": STRING, "X": STRING, "]": STRING, "^": STRING, "_": STRING,
};

/** Tells control sequences from text, character by character. */
class ControlSequences {
  #within = TEXT;
  #length = 0;

  /**
   * @param {string} character the next code point
   * @param {boolean} endsAll whether no sequence contains it
   * @returns {boolean} whether it is part of a sequence
   */
  take(character, endsAll) {
    if (endsAll) this.#within = TEXT;
    if (this.#goesOn(character)) return true;
    this.#within = INTRODUCERS[character] ?? TEXT;
    this.#length = 0;
    return this.#within !== TEXT;
  }

  /** @param {string} character */
  #goesOn(character) {
    if (this.#within === TEXT) return false;
    this.#length += 1;
    if (character === "\x18" || character === "\x1a") {
      this.#within = TEXT;
      return true;
    }
    if (this.#within === STRING || this.#within === STRING_ESCAPE) {
      if (character === "\x9c" || (this.#within === STRING_ESCAPE && character === "\\")) {
        this.#within = TEXT;
        return true;
      }
      this.#within = character === "\x1b" ? STRING_ESCAPE : STRING;
      return this.#length <= LONGEST_STRING;
    }
    if (this.#within === ESCAPE && this.#length === 1 && AFTER_ESCAPE[character] !== undefined) {
      this.#within = AFTER_ESCAPE[character];
      this.#length = 0;
      return true;
    }
    const lowestFinal = this.#within === ESCAPE ? "0" : "@";
    if (lowestFinal <= character && character <= "~") {
      this.#within = TEXT;
      return true;
    }
    return character >= " " && character < lowestFinal && this.#length < LONGEST_SEQUENCE;
  }
}

/**
 * @typedef {object} Taken what one piece changed; positions count characters since the beginning
 * @property {number} kept all before this position is as it was
 * @property {number} end where the text ends now
 * @property {number} alerts how often the sender asked for attention
 * @property {string} left text that is out of reach now and no longer held
 */

const NEW_LINES = ["\n", "\r", "\x85", LINE_SEPARATOR, "\u2029"];

/** What a receiver of T.140 shows. */
export class T140Display {
  /** Number of characters that are no longer held, and of the first line that is. */
  left = 0;
  firstLine = 0;
  /** @type {string[]} */ #shown = [];
  #controls = new ControlSequences();
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #afterReturn = false;
  #high = "";
  #alerts = 0;
  #kept = 0;
  /** @type {string[]} */ #leaving = [];

  /** @param {number} [kept] how many characters are held */
  constructor(kept = 8000) {
    this.most = Math.max(2, kept);
  }

  /** Where the text ends: how many characters people see, those that left included. */
  get end() {
    return this.left + this.#shown.length;
  }

  /** What is held, lines divided by line feeds. */
  get text() {
    return this.#shown.join("");
  }

  /** The lines that are held; the last one is being written. */
  get lines() {
    return this.text.split("\n");
  }

  /** @param {number} begin a position @returns {string[]} the characters from there on */
  characters(begin) {
    return this.#shown.slice(Math.max(0, begin - this.left));
  }

  /** Shows the next piece of text, cut anywhere. @param {string} piece @returns {Taken} */
  take(piece) {
    this.#alerts = 0;
    this.#leaving = [];
    this.#kept = this.end;
    let whole = this.#high + piece;
    this.#high = /[\ud800-\udbff]$/.test(whole) ? whole.slice(-1) : "";
    if (this.#high) whole = whole.slice(0, -1);
    for (const character of whole) {
      if (/^[\ud800-\udfff]$/.test(character)) this.#take(MISSING);
      else if (character !== BYTE_ORDER_MARK) this.#take(character);
    }
    return { kept: this.#kept, end: this.end, alerts: this.#alerts, left: this.#leaving.join("") };
  }

  /** Shows the next piece as UTF-8, cut anywhere. @param {Uint8Array} data @returns {Taken} */
  takeBytes(data) {
    return this.take(this.#decoder.decode(data, { stream: true }));
  }

  /** The sender is gone: half a character at the very end is lost text. @returns {Taken} */
  finish() {
    const rest = this.#decoder.decode() + (this.#high ? MISSING : "");
    this.#high = "";
    return this.take(rest);
  }

  /** @param {string} character */
  #take(character) {
    const followsReturn = this.#afterReturn;
    this.#afterReturn = false;
    const isNewLine = NEW_LINES.includes(character);
    if (this.#controls.take(character, isNewLine || character === MISSING)) return;
    if (isNewLine) {
      if (!(character === "\n" && followsReturn)) this.#append("\n");
      this.#afterReturn = character === "\r";
    } else if (character === BACKSPACE) this.#erase();
    else if (character === "\x07") this.#alerts += 1;
    else if (character === "\t") this.#append(" ");
    else if (character === MISSING) this.#mark();
    else if (character >= "\xa0" || (character >= " " && character <= "~")) this.#append(character);
  }

  /** @param {string} character */
  #append(character) {
    const shown = this.#shown;
    const last = shown[shown.length - 1];
    if (last === MISSING && OF_A_LOST_CHARACTER.includes(kindOf(character))) return;
    if (last !== undefined && joins(last, character)) {
      shown[shown.length - 1] += character;
      this.#kept = Math.min(this.#kept, this.end - 1);
      return;
    }
    shown.push(character);
    if (shown.length > this.most) this.#leave();
  }

  #mark() {
    if (this.#shown[this.#shown.length - 1] !== MISSING) this.#shown.push(MISSING);
  }

  /** A mark is never erased, nor what is before it. */
  #erase() {
    if (!this.#shown.length || this.#shown[this.#shown.length - 1] === MISSING) return;
    this.#shown.pop();
    this.#kept = Math.min(this.#kept, this.end);
  }

  #leave() {
    const most = this.#shown.length - Math.floor((this.most * 3) / 4);
    const line = this.#shown.lastIndexOf("\n", most - 1);
    const gone = this.#shown.splice(0, line < 0 ? most : line + 1);
    this.left += gone.length;
    this.firstLine += gone.filter((character) => character === "\n").length;
    this.#leaving.push(...gone);
  }
}

/** How many characters may go out: an average, with room for a second's burst. */
class CharacterAllowance {
  /** @type {number | null} */ #at = null;

  /** @param {number} perS the receiver's `cps` */
  constructor(perS) {
    this.most = perS;
    this.perMs = (0.9 * perS) / 1000;
    this.amount = perS;
  }

  /** @param {number} nowMs @returns {number} how many may go out now */
  left(nowMs) {
    if (this.#at !== null) {
      this.amount = Math.min(this.most, this.amount + Math.max(0, nowMs - this.#at) * this.perMs);
    }
    this.#at = nowMs;
    return this.amount;
  }

  /** @param {number} cost @param {number} nowMs @returns {number} from when on so many may go out */
  when(cost, nowMs) {
    return nowMs + Math.max(0, Math.min(cost, this.most) - this.left(nowMs)) / this.perMs;
  }
}

/**
 * A field's text as the other side will see it, character by character.
 * @param {string} field
 * @returns {string[]}
 */
export function asSent(field) {
  const count = [...field].length;
  if (count > LONGEST_FIELD) throw new RangeError(`${count} characters are over ${LONGEST_FIELD}`);
  const display = new T140Display(LONGEST_FIELD + 1);
  display.take(field
    .replace(/[\ud800-\udfff]/gu, "\u25a1")
    .replaceAll(MISSING, "\u25a1")
    // Control characters would act at the other side instead of standing there.
    // eslint-disable-next-line no-control-regex
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]/g, ""));
  return display.characters(0);
}

/** @param {string} text @returns {number} its code points */
const pointsOf = (text) => [...text].length;

/** Turns the states of a field into T.140; times are milliseconds of any steady clock. */
export class T140Typing {
  /** What the other side sees of the line that is being typed. @type {string[]} */
  sent = [];
  /** @type {string[][]} */ #finished = [];
  /** @type {string[]} */ #field = [];
  /** @type {number | null} */ #last = null;
  /** Characters that `sent` and what is wanted have in common; -1: to be counted anew. */
  #same = 0;

  /** @param {{ intervalMs?: number, charactersPerS?: number }} [options] */
  constructor({ intervalMs = 300, charactersPerS = 30 } = {}) {
    this.intervalMs = intervalMs;
    this.allowance = new CharacterAllowance(charactersPerS);
  }

  /** Says what the field holds now, without what is still being composed. @param {string} field */
  edit(field) {
    this.#field = asSent(field);
    this.#same = -1;
  }

  /** The line is finished (Enter was pressed) and the field is empty again. */
  endLine() {
    const waiting = this.#finished.reduce((sum, line) => sum + line.length, this.#field.length);
    if (waiting > LONGEST_FIELD) throw new RangeError(`${waiting} characters wait already`);
    this.#finished.push([...this.#field, "\n"]);
    this.#field = [];
    this.#same = -1;
  }

  /** Whether the other side sees all there is. */
  get isIdle() {
    return this.#next() === null;
  }

  /** @param {number} nowMs @returns {number | null} when to call `take`; null: nothing to send */
  due(nowMs) {
    const piece = this.#next();
    if (piece === null) return null;
    const ready = this.allowance.when(pointsOf(piece), nowMs);
    return this.#last === null ? ready : Math.max(ready, this.#last + this.intervalMs);
  }

  /** @param {number} nowMs @returns {string} what to send now as T.140, or "" */
  take(nowMs) {
    if (this.#last !== null && nowMs < this.#last + this.intervalMs - 1e-6) return "";
    let pieces = "";
    for (let piece = this.#next(); piece !== null; piece = this.#next()) {
      const cost = pointsOf(piece);
      if (this.allowance.left(nowMs) < Math.min(cost, this.allowance.most) - 1e-6) break;
      this.allowance.amount -= cost;
      this.#note(piece);
      pieces += piece === "\n" ? LINE_SEPARATOR : piece;
    }
    if (pieces) this.#last = nowMs;
    return pieces;
  }

  /** @returns {string | null} the next character to send, or a backspace */
  #next() {
    const [wanted, same] = this.#wanted();
    const over = this.sent.length - same;
    if (over === 0) return wanted[same] ?? null;
    // A mark that was added to the last character needs no backspace: it joins by itself.
    if (over === 1 && wanted[same]?.startsWith(this.sent[same])) {
      return wanted[same].slice(this.sent[same].length);
    }
    return BACKSPACE;
  }

  /** Does to `sent` what the other side does. @param {string} piece that `#next` gave */
  #note(piece) {
    const [wanted, same] = this.#wanted();
    if (this.sent.length > same) this.sent.pop();
    if (piece !== BACKSPACE) {
      this.sent.push(wanted[same]);
      this.#same = same + 1;
    }
    if (this.#finished.length && this.#same === wanted.length && this.sent.length === this.#same) {
      this.#finished.shift();
      this.sent = [];
      this.#same = -1;
    }
  }

  /** @returns {[string[], number]} what the other side is to see, and how much stands there */
  #wanted() {
    const wanted = this.#finished[0] ?? this.#field;
    if (this.#same < 0) this.#same = common(this.sent, wanted);
    return [wanted, this.#same];
  }
}

/** @param {string[]} one @param {string[]} other @returns {number} characters in common at the start */
function common(one, other) {
  let at = 0;
  while (at < one.length && at < other.length && one[at] === other[at]) at += 1;
  return at;
}

/**
 * Tells what a field holds whenever that changes, input methods respected.
 *
 * What is being composed (pinyin before a choice is made) is not told until it is committed. Some
 * keyboards of phones compose every word of alphabetic languages and commit it with the space: for
 * those `isHeld` can say no, and a composition that has stopped is told after `stalledMs` anyway.
 * @param {HTMLInputElement | HTMLTextAreaElement} field
 * @param {(value: string) => void} tell
 * @param {{ isHeld?: () => boolean, stalledMs?: number }} [options]
 * @returns {() => void} stops telling
 */
export function watchField(field, tell, { isHeld = () => true, stalledMs = Infinity } = {}) {
  let composing = false;
  let timer = 0;
  const stop = new AbortController();
  const now = () => {
    clearTimeout(timer);
    tell(field.value);
  };
  const changed = () => {
    if (!composing || !isHeld()) return now();
    clearTimeout(timer);
    if (Number.isFinite(stalledMs)) timer = setTimeout(now, stalledMs);
  };
  field.addEventListener("compositionstart", () => { composing = true; }, { signal: stop.signal });
  field.addEventListener("compositionend", () => {
    composing = false;
    now();
  }, { signal: stop.signal });
  field.addEventListener("input", changed, { signal: stop.signal });
  if (field.value) now(); // typed before we listened
  return () => {
    clearTimeout(timer);
    stop.abort();
  };
}
