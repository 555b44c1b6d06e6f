/**
 * Reads QR codes with this machine's camera, as fast as they come: for the hand-over at the bay.
 *
 *     const camera = new QrCamera(video, (text) => …);
 *     await camera.start();      // asks for the camera; throws what the browser says
 *     camera.stop();
 */
import { decodeQR } from "./vendor/qr_decode.js";

/** Wide enough for a code of 93 modules that fills half of the picture. */
const WANTED = { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };

export class QrCamera {
  /** @type {MediaStream | null} */ #stream = null;
  #canvas = document.createElement("canvas");
  #running = false;
  /** Pictures looked at, and codes found in them: for tests and for who wonders why nothing is read. */
  looked = 0;
  found = 0;

  /** @param {HTMLVideoElement} video @param {(text: string) => void} onText */
  constructor(video, onText) {
    this.video = video;
    this.onText = onText;
  }

  async start() {
    if (!navigator.mediaDevices) throw new Error("no camera");
    this.#running = true;
    const stream = await navigator.mediaDevices.getUserMedia({ video: WANTED, audio: false });
    if (!this.#running) return stream.getTracks().forEach((track) => track.stop());
    this.#stream = stream;
    this.video.srcObject = stream;
    await this.video.play();
    this.#next();
    return undefined;
  }

  stop() {
    this.#running = false;
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
    this.video.srcObject = null;
  }

  #next() {
    if (!this.#running) return;
    this.video.requestVideoFrameCallback(() => {
      this.#look();
      this.#next();
    });
  }

  #look() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!this.#running || !width || !height) return;
    this.#canvas.width = width;
    this.#canvas.height = height;
    const context = this.#canvas.getContext("2d", { willReadFrequently: true });
    if (!context) return;
    context.drawImage(this.video, 0, 0);
    this.looked += 1;
    let text;
    try {
      text = decodeQR(context.getImageData(0, 0, width, height));
    } catch {
      return; // no code in this picture; the next one comes at once
    }
    this.found += 1;
    this.onText(text);
  }
}
