// @ts-check
/**
 * Reads the time code that streams/timecode.py draws into a picture.
 *
 * Two rows of 28 cells, each 1/32 of the width by 1/24 of the height: white, black, 24 bits,
 * black, white. 40 bits are Unix milliseconds, 8 bits are a CRC-8.
 */

const COLUMNS = 28;
const CELLS_PER_WIDTH = 32;
const CELLS_PER_HEIGHT = 24;
const LEAST_CONTRAST = 60;
const WRAP = 2 ** 40;

/** @param {number[]} bytes */
function checksum(bytes) {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = (crc & 0x80 ? (crc << 1) ^ 0x07 : crc << 1) & 0xff;
    }
  }
  return crc ^ 0x55;
}

/**
 * The mean brightness of the middle half of one cell.
 * @param {ImageData} strip The picture's upper rows, full width.
 * @param {number} cellWidth
 * @param {number} cellHeight
 * @param {number} row
 * @param {number} column
 */
function level(strip, cellWidth, cellHeight, row, column) {
  const top = Math.floor((row + 0.25) * cellHeight);
  const left = Math.floor((column + 0.25) * cellWidth);
  const bottom = Math.max(top + 1, Math.floor((row + 0.75) * cellHeight));
  const right = Math.max(left + 1, Math.floor((column + 0.75) * cellWidth));
  let sum = 0;
  for (let y = top; y < bottom; y += 1) {
    for (let x = left; x < right; x += 1) {
      const at = 4 * (y * strip.width + x);
      sum += 0.299 * strip.data[at] + 0.587 * strip.data[at + 1] + 0.114 * strip.data[at + 2];
    }
  }
  return sum / ((bottom - top) * (right - left));
}

/**
 * Read a time code from pixels.
 * @param {ImageData} strip The picture's upper rows, full width.
 * @param {number} height The height of the whole picture.
 * @param {number} nearMs A time within 17 years of the code's.
 * @returns {number | null} Unix milliseconds, or null where there is no sound time code.
 */
export function readTimeCode(strip, height, nearMs) {
  const cellWidth = strip.width / CELLS_PER_WIDTH;
  const cellHeight = height / CELLS_PER_HEIGHT;
  /** @type {number[]} */
  const bits = [];
  for (let row = 0; row < 2; row += 1) {
    const levels = [];
    for (let column = 0; column < COLUMNS; column += 1) {
      levels.push(level(strip, cellWidth, cellHeight, row, column));
    }
    const white = Math.min(levels[0], levels[COLUMNS - 1]);
    const black = Math.max(levels[1], levels[COLUMNS - 2]);
    if (white - black < LEAST_CONTRAST) return null;
    const threshold = (white + black) / 2;
    for (const value of levels.slice(2, -2)) bits.push(value > threshold ? 1 : 0);
  }
  const bytes = [];
  for (let at = 0; at < bits.length; at += 8) {
    bytes.push(bits.slice(at, at + 8).reduce((byte, bit) => byte * 2 + bit, 0));
  }
  if (checksum(bytes.slice(0, 5)) !== bytes[5]) return null;
  // Beyond 32 bits: plain arithmetic, no shifts.
  const time = bytes.slice(0, 5).reduce((sum, byte) => sum * 256 + byte, 0);
  const base = Math.floor(nearMs);
  const turned = (((time - base + WRAP / 2) % WRAP) + WRAP) % WRAP;
  return base + turned - WRAP / 2;
}

/** Reads the time codes of a <video>; keeps one small canvas for all of its frames. */
export class TimeCodeReader {
  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.video = video;
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
  }

  /**
   * The time code of the frame that the video shows now.
   * @returns {number | null} Unix milliseconds, or null without a frame or a sound time code.
   */
  read() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!this.context || !width || !height) return null;
    const rows = Math.ceil((2 * height) / CELLS_PER_HEIGHT);
    if (this.canvas.width !== width || this.canvas.height !== rows) {
      this.canvas.width = width;
      this.canvas.height = rows;
    }
    this.context.drawImage(this.video, 0, 0, width, rows, 0, 0, width, rows);
    return readTimeCode(this.context.getImageData(0, 0, width, rows), height, Date.now());
  }
}
