/**
 * The ECG block in the browser: decodes what `streams/ecg_block.py` encodes, sample for sample.
 * The layout and the rules stand there; the arithmetic here repeats it operation by operation.
 */

/**
 * One lead of a setup, as the server sends it (`Lead` in `streams/ecg_leads.py`).
 * @typedef {object} Lead
 * @property {string} name
 * @property {number} gain  ADC units per physical unit.
 * @property {number} [baseline]  ADC integer that stands for 0; 0 where absent.
 * @property {string} [physical_unit]  "mV" where absent.
 * @property {number|null} [invalid]  ADC integer that marks an invalid sample.
 * @property {number} [step]  ADC units between values that occur; 0 where not known.
 * @property {boolean} [step_toward_zero]
 */

/**
 * @typedef {object} EcgSetup
 * @property {string} setup_id
 * @property {number} sampling_frequency_hz
 * @property {Lead[]} leads
 */

/**
 * A decoded frame.
 * @typedef {object} Frame
 * @property {number} firstSample  Number of its first sample since the start of the recording.
 * @property {number} length  Samples of each lead.
 * @property {Int32Array[]} leads  ADC integers, one array a lead.
 * @property {Uint8Array[]} valid  1 where a sample is valid, one array a lead.
 */

/**
 * What decoding needs of a setup, made once.
 * @typedef {object} Plan
 * @property {number} fingerprint
 * @property {number} leadI
 * @property {number} leadII
 * @property {Map<number, [number, number]>} shares
 */

/** Bytes that are no ECG block, or not one of this setup; the message says why. */
export class EcgBlockError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "EcgBlockError";
  }
}

const VERSION = 1;
const HEADER_BYTES = 17;
const CHECKSUM_AT = 13;
const WIDE = 0x10;
const STEPPED = 0x20;
const SECOND = 0x40;
const EXACT = 0x80;
const LESS_BEFORE = 1;
const NEAREST = 2;
const LARGEST_SHARE = 1e6;

/** Shares of lead I and of lead II in each derivable limb lead. @type {Record<string, number[]>} */
const LIMB_LEADS = { iii: [-1, 1], avr: [-0.5, -0.5], avl: [1, -0.5], avf: [-0.5, 1] };

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, octet) => {
  let value = octet;
  for (let bit = 0; bit < 8; bit += 1) {
    value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return value;
});

/**
 * CRC-32 as zlib computes it, continued from an earlier one.
 * @param {Uint8Array} bytes
 * @param {number} start
 * @returns {number}
 */
function crc32(bytes, start) {
  let value = ~start;
  for (const octet of bytes) {
    value = CRC_TABLE[(value ^ octet) & 255] ^ (value >>> 8);
  }
  return ~value >>> 0;
}

/** @type {WeakMap<EcgSetup, Plan>} */
const plans = new WeakMap();

/**
 * @param {EcgSetup} setup
 * @returns {Plan}
 */
function planOf(setup) {
  let plan = plans.get(setup);
  if (!plan) {
    plan = { fingerprint: fingerprintOf(setup), ...limbShares(setup.leads) };
    plans.set(setup, plan);
  }
  return plan;
}

/**
 * @param {EcgSetup} setup
 * @returns {number}
 */
function fingerprintOf(setup) {
  const text = new TextEncoder();
  let checksum = crc32(text.encode(setup.setup_id), 0);
  for (const lead of setup.leads) {
    const scale = new DataView(new ArrayBuffer(21));
    scale.setFloat64(0, lead.gain, true);
    scale.setInt32(8, lead.baseline ?? 0, true);
    scale.setFloat64(12, lead.step ?? 0, true);
    scale.setUint8(20, lead.step_toward_zero ? 1 : 0);
    checksum = crc32(text.encode(lead.name), crc32(new Uint8Array(scale.buffer), checksum));
  }
  return checksum;
}

/**
 * @param {Lead[]} leads
 * @returns {{leadI: number, leadII: number, shares: Map<number, [number, number]>}}
 */
function limbShares(leads) {
  /** @type {Map<string, number>} */
  const columns = new Map();
  leads.forEach((lead, column) => {
    const name = lead.name.trim().toLowerCase();
    if (!columns.has(name)) columns.set(name, column);
  });
  const leadI = columns.get("i");
  const leadII = columns.get("ii");
  /** @type {Map<number, [number, number]>} */
  const shares = new Map();
  if (leadI === undefined || leadII === undefined) return { leadI: 0, leadII: 0, shares };
  /** @param {number} column */
  const unit = (column) => (leads[column].physical_unit ?? "mV").toLowerCase();
  for (const [name, [ofI, ofII]] of Object.entries(LIMB_LEADS)) {
    const column = columns.get(name);
    if (column === undefined || unit(column) !== unit(leadI) || unit(leadII) !== unit(leadI)) {
      continue;
    }
    const { gain } = leads[column];
    /** @type {[number, number]} */
    const pair = [ofI * (gain / leads[leadI].gain), ofII * (gain / leads[leadII].gain)];
    if (Math.max(Math.abs(pair[0]), Math.abs(pair[1])) <= LARGEST_SHARE) shares.set(column, pair);
  }
  return { leadI, leadII, shares };
}

/**
 * Decode one frame.
 * @param {EcgSetup} setup
 * @param {Uint8Array} bytes
 * @returns {Promise<Frame>}
 * @throws {EcgBlockError} The bytes are damaged, truncated, of another version or another setup.
 */
export async function decodeFrame(setup, bytes) {
  const plan = planOf(setup);
  const { view, flags, length, firstSample } = readHeader(setup, plan, bytes);
  const count = setup.leads.length;
  let at = HEADER_BYTES;
  /** @param {number} size */
  const take = (size) => {
    if (at + size > bytes.length) throw new EcgBlockError("body ends early");
    at += size;
    return at - size;
  };
  const stepped = flags & STEPPED ? view.getUint16(take(2), true) : 0;
  const modesAt = take((count + 3) >> 2);
  const modes = setup.leads.map((_, n) => (bytes[modesAt + (n >> 2)] >> (2 * (n & 3))) & 3);
  checkModes(setup, plan, modes, stepped);
  const plain = modes.flatMap((mode, n) => (mode < NEAREST ? [n] : []));
  const derived = modes.flatMap((mode, n) => (mode < NEAREST ? [] : [n]));
  const width = flags & WIDE ? 4 : 2;
  const firstAt = take(plain.length * width);
  const sent = flags & EXACT ? 0 : derived.length;
  const planes = [(flags & 3) + 1, ((flags >> 2) & 3) + 1];
  const plainSize = plain.length * (length - 1);
  const octets = await inflate(
    bytes.subarray(at),
    plainSize * planes[0] + sent * length * planes[1],
  );
  const plainRows = unfold(octets, 0, planes[0], plain.length, length - 1);
  const derivedRows = unfold(octets, plainSize * planes[0], planes[1], sent, length);

  /** @type {Int32Array[]} */
  const leads = modes.map(() => new Int32Array(length));
  plain.forEach((column, row) => {
    const place = firstAt + row * width;
    const first = width === 4 ? view.getInt32(place, true) : view.getInt16(place, true);
    if (modes[column] === LESS_BEFORE) {
      if (row === 0) throw new EcgBlockError("the first plain lead has none before it");
      addTo(plainRows[row], plainRows[row - 1]);
    }
    restorePlain(leads[column], first, plainRows[row], (flags & SECOND) !== 0);
  });
  derived.forEach((column, row) => {
    restoreDerived(setup, plan, leads, column, modes[column], stepped);
    if (sent) addTo(leads[column], derivedRows[row]);
  });
  leads.forEach((values, column) => restoreUnits(values, setup.leads[column], stepped >> column));
  const valid = leads.map((values, column) => {
    const mark = setup.leads[column].invalid ?? null;
    return Uint8Array.from(values, (value) => (value === mark ? 0 : 1));
  });
  return { firstSample, length, leads, valid };
}

/**
 * @param {EcgSetup} setup
 * @param {Plan} plan
 * @param {Uint8Array} bytes
 */
function readHeader(setup, plan, bytes) {
  if (bytes.length < HEADER_BYTES) throw new EcgBlockError("shorter than a header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes[0] !== VERSION) throw new EcgBlockError(`version ${bytes[0]} is not ${VERSION}`);
  if (bytes[12] !== setup.leads.length) {
    throw new EcgBlockError(`${bytes[12]} leads: the setup has ${setup.leads.length}`);
  }
  const seed = crc32(bytes.subarray(0, CHECKSUM_AT), plan.fingerprint);
  if (crc32(bytes.subarray(HEADER_BYTES), seed) !== view.getUint32(CHECKSUM_AT, true)) {
    throw new EcgBlockError("checksum differs: damaged, or a frame of another setup");
  }
  const length = view.getUint16(2, true);
  const firstSample = Number(view.getBigInt64(4, true));
  if (length === 0 || firstSample < 0) throw new EcgBlockError("header out of range");
  return { view, flags: bytes[1], length, firstSample };
}

/**
 * @param {EcgSetup} setup
 * @param {Plan} plan
 * @param {number[]} modes
 * @param {number} stepped
 */
function checkModes(setup, plan, modes, stepped) {
  const fits = modes.every((mode, column) => mode < NEAREST || plan.shares.has(column));
  const steps = setup.leads.every((lead, column) => !(stepped >> column & 1) || lead.step);
  if (!fits || !steps || stepped >> modes.length) {
    throw new EcgBlockError("a lead is coded in a way that the setup does not allow");
  }
}

/**
 * Inflate to exactly `size` bytes; never holds more than that and one chunk.
 * @param {Uint8Array} packed
 * @param {number} size
 * @returns {Promise<Uint8Array>}
 */
async function inflate(packed, size) {
  const octets = new Uint8Array(size);
  if (size === 0 && packed.length === 0) return octets;
  const stream = new Blob([/** @type {BlobPart} */ (packed)])
    .stream()
    .pipeThrough(new DecompressionStream("deflate-raw"));
  let filled = 0;
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (filled + value.length > size) throw new EcgBlockError("residuals are too long");
      octets.set(value, filled);
      filled += value.length;
    }
  } catch (error) {
    await reader.cancel().catch(() => undefined);
    throw error instanceof EcgBlockError
      ? error
      : new EcgBlockError(`residuals are no deflate stream: ${error}`);
  }
  if (filled !== size) throw new EcgBlockError("residuals are too short");
  return octets;
}

/**
 * Gather byte planes and unfold 0, 1, 2, 3 to 0, -1, 1, -2.
 * @param {Uint8Array} octets
 * @param {number} start
 * @param {number} planes
 * @param {number} rows
 * @param {number} length
 * @returns {Int32Array[]}
 */
function unfold(octets, start, planes, rows, length) {
  const size = rows * length;
  return Array.from({ length: rows }, (_, row) => {
    const values = new Int32Array(length);
    for (let n = 0; n < length; n += 1) {
      let folded = 0;
      for (let plane = 0; plane < planes; plane += 1) {
        folded |= octets[start + plane * size + row * length + n] << (8 * plane);
      }
      values[n] = (folded >>> 1) ^ -(folded & 1);
    }
    return values;
  });
}

/**
 * @param {Int32Array} values
 * @param {Int32Array} others
 */
function addTo(values, others) {
  for (let n = 0; n < values.length; n += 1) values[n] += others[n];
}

/**
 * @param {Int32Array} values
 * @param {number} first
 * @param {Int32Array} residuals
 * @param {boolean} second
 */
function restorePlain(values, first, residuals, second) {
  let value = first;
  let slope = 0;
  values[0] = value;
  for (let n = 0; n < residuals.length; n += 1) {
    slope = second ? (slope + residuals[n]) | 0 : residuals[n];
    value = (value + slope) | 0;
    values[n + 1] = value;
  }
}

/**
 * @param {EcgSetup} setup
 * @param {Plan} plan
 * @param {Int32Array[]} leads
 * @param {number} column
 * @param {number} mode
 * @param {number} stepped
 */
function restoreDerived(setup, plan, leads, column, mode, stepped) {
  /** @param {number} lead */
  const unit = (lead) => ((stepped >> lead) & 1 ? (setup.leads[lead].step ?? 1) : 1);
  const [ofI, ofII] = /** @type {[number, number]} */ (plan.shares.get(column));
  const shareI = (ofI * unit(plan.leadI)) / unit(column);
  const shareII = (ofII * unit(plan.leadII)) / unit(column);
  const bias = mode === NEAREST ? 0.5 : 0;
  const [valuesI, valuesII, values] = [leads[plan.leadI], leads[plan.leadII], leads[column]];
  for (let n = 0; n < values.length; n += 1) {
    values[n] = Math.floor(shareI * valuesI[n] + shareII * valuesII[n] + bias);
  }
}

/**
 * @param {Int32Array} values
 * @param {Lead} lead
 * @param {number} stepped  Its lowest bit says whether this lead counts in steps.
 */
function restoreUnits(values, lead, stepped) {
  const baseline = lead.baseline ?? 0;
  const step = stepped & 1 ? (lead.step ?? 0) : 0;
  for (let n = 0; n < values.length; n += 1) {
    if (step) {
      const exact = values[n] * step;
      values[n] = lead.step_toward_zero ? Math.trunc(exact) : Math.floor(exact + 0.5);
    }
    values[n] += baseline;
  }
}
