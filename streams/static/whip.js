// @ts-check
/**
 * A WHIP publisher (RFC 9725): sends a camera or a microphone to the relay, in one encoding, and
 * connects again by itself.
 *
 *     const sending = publish("/whip/caller-…/camera", token, stream, { onchange: show });
 *     sending.phase                      // "live" while the relay hears us
 *     await sending.replace(otherTrack); // another camera, without a new connection
 *     sending.close();                   // the tracks are the caller's own to stop
 */
import { gathered } from "./gathered.js";

/**
 * @typedef {"connecting" | "live" | "lost" | "refused" | "unreachable" | "closed"} SendPhase
 * connecting: no path yet; live: the relay answers; lost: it did, and does no more; refused: we may
 * not, which is final; unreachable: the server does not answer; closed: by us.
 */
/**
 * @typedef {object} SendOptions
 * @property {(phase: SendPhase) => void} [onchange] Called at each change.
 * @property {number} [videoBps] The most that the picture may take, bit/s.
 * @property {RTCIceServer[]} [iceServers] None by default.
 */

const WATCH_EVERY_MS = 500;
/** The relay reports twice a second: a path that is silent for so long is given up. */
const SILENT_MS = 4000;
const CONNECT_WITHIN_MS = 8000;
const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 5000;
const VIDEO_BPS = 500_000;
const SOUND_BPS = 32_000;

/** What is sent; made by `publish`. */
export class WhipPublication {
  /**
   * @param {string} url
   * @param {string} token
   * @param {MediaStream} stream
   * @param {SendOptions} options
   */
  constructor(url, token, stream, options) {
    this.url = url;
    this.token = token;
    this.stream = stream;
    this.options = options;
    /** @type {SendPhase} */
    this.phase = "connecting";
    this.connections = 0;
    /** @type {RTCPeerConnection | null} */
    this.peer = null;
    this.sessionUrl = "";
    this.pauseMs = FIRST_PAUSE_MS;
    this.startedAt = 0;
    this.heard = 0;
    this.heardAt = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.retry = undefined;
    this.watcher = setInterval(() => void this.watch(), WATCH_EVERY_MS);
    this.leave = () => this.endSession(true);
    addEventListener("pagehide", this.leave);
    void this.connect();
  }

  /**
   * End it and free everything but the tracks.
   * @param {boolean} [known] Whether the server has ended the session already.
   */
  close(known = false) {
    if (this.phase === "closed") return;
    if (known) this.sessionUrl = "";
    this.finish();
    this.enter("closed");
  }

  /**
   * Send another track of the same kind from now on.
   * @param {MediaStreamTrack} track
   */
  async replace(track) {
    for (const old of this.stream.getTracks()) if (old.kind === track.kind) this.stream.removeTrack(old);
    this.stream.addTrack(track);
    const sender = this.peer?.getSenders().find((one) => one.track?.kind === track.kind);
    await sender?.replaceTrack(track);
  }

  /** @private */
  finish() {
    clearInterval(this.watcher);
    clearTimeout(this.retry);
    removeEventListener("pagehide", this.leave);
    this.drop();
  }

  /** @private */
  async connect() {
    const peer = new RTCPeerConnection({ iceServers: this.options.iceServers ?? [], bundlePolicy: "max-bundle" });
    this.peer = peer;
    this.startedAt = performance.now();
    this.heard = 0;
    this.heardAt = 0;
    for (const track of this.stream.getTracks()) {
      const maxBitrate = track.kind === "video" ? this.options.videoBps ?? VIDEO_BPS : SOUND_BPS;
      // One encoding: of several a relay that knows no simulcast would get the smallest.
      peer.addTransceiver(track, { direction: "sendonly", streams: [this.stream], sendEncodings: [{ maxBitrate }] });
    }
    try {
      await this.negotiate(peer);
      this.connections += 1;
    } catch {
      if (this.peer === peer) this.again("unreachable");
    }
  }

  /**
   * @private
   * @param {RTCPeerConnection} peer
   */
  async negotiate(peer) {
    await peer.setLocalDescription();
    await gathered(peer);
    const response = await fetch(this.url, {
      method: "POST",
      body: peer.localDescription?.sdp ?? "",
      headers: { ...this.authorization(), "Content-Type": "application/sdp" },
      signal: AbortSignal.timeout(CONNECT_WITHIN_MS),
    });
    const text = await response.text();
    if ([401, 403, 406].includes(response.status)) {
      if (this.peer !== peer) return;
      this.finish();
      this.enter("refused");
      return;
    }
    if (response.status !== 201) throw new Error(`${response.status} ${text.trim()}`);
    const location = response.headers.get("Location");
    const sessionUrl = location ? new URL(location, response.url).href : "";
    if (this.peer !== peer) {
      this.endSession(false, sessionUrl); // closed meanwhile: do not leave a session behind
      return;
    }
    this.sessionUrl = sessionUrl;
    await peer.setRemoteDescription({ type: "answer", sdp: text });
  }

  /** @private */
  async watch() {
    const peer = this.peer;
    if (!peer || this.retry !== undefined) return;
    const heard = await countReceived(peer);
    if (this.peer !== peer) return;
    const now = performance.now();
    if (heard > this.heard) {
      this.heard = heard;
      this.heardAt = now;
      this.pauseMs = FIRST_PAUSE_MS;
      if (peer.connectionState === "connected") this.enter("live");
    }
    if (this.isLost(peer, now)) {
      this.sessionUrl = ""; // the relay ends what is lost by itself; the next path replaces it
      this.again(this.phase === "live" ? "lost" : undefined);
    }
  }

  /**
   * @private
   * @param {RTCPeerConnection} peer
   * @param {number} now
   */
  isLost(peer, now) {
    const state = peer.connectionState;
    if (state === "failed" || state === "closed") return true;
    if (peer.getSenders().some((sender) => sender.transport?.state === "closed")) return true;
    if (state === "connected" && this.heardAt) return now - this.heardAt > SILENT_MS;
    return now - (this.heardAt || this.startedAt) > (this.heardAt ? SILENT_MS : CONNECT_WITHIN_MS);
  }

  /**
   * Build a new connection after a pause.
   * @private
   * @param {SendPhase} [phase]
   */
  again(phase) {
    this.drop();
    if (phase) this.enter(phase);
    const wait = this.pauseMs * (0.75 + 0.5 * Math.random());
    this.pauseMs = Math.min(2 * this.pauseMs, LONGEST_PAUSE_MS);
    this.retry = setTimeout(() => {
      this.retry = undefined;
      void this.connect();
    }, wait);
  }

  /** @private */
  drop() {
    this.endSession(false);
    this.peer?.close();
    this.peer = null;
  }

  /**
   * @private
   * @param {boolean} leaving Whether the page goes away.
   * @param {string} [url]
   */
  endSession(leaving, url = this.sessionUrl) {
    if (!url) return;
    if (url === this.sessionUrl) this.sessionUrl = "";
    fetch(url, { method: "DELETE", headers: this.authorization(), keepalive: leaving }).catch(
      () => {}, // gone already
    );
  }

  /**
   * @private
   * @returns {Record<string, string>}
   */
  authorization() {
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  }

  /**
   * @private
   * @param {SendPhase} phase
   */
  enter(phase) {
    if (phase === this.phase) return;
    this.phase = phase;
    this.options.onchange?.(phase);
  }
}

/**
 * Send a stream until closed.
 * @param {string} url The WHIP endpoint.
 * @param {string} token Bearer token, or an empty string where a cookie is enough.
 * @param {MediaStream} stream
 * @param {SendOptions} [options]
 */
export function publish(url, token, stream, options = {}) {
  return new WhipPublication(url, token, stream, options);
}

/**
 * Bytes that came from the relay: its reports, for it sends no media.
 * @param {RTCPeerConnection} peer
 */
async function countReceived(peer) {
  let bytes = 0;
  for (const report of (await peer.getStats()).values()) {
    if (report.type === "candidate-pair" && report.nominated) bytes += report.bytesReceived ?? 0;
  }
  return bytes;
}
