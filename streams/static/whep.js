// @ts-check
/**
 * A WHEP viewer: shows a relay's resource in a <video>, connects again by itself, and says
 * honestly when the picture is not live.
 *
 *     const view = subscribe("/whep/unit-7/cabin", token, video, { onchange: show });
 *     view.state.live        // false: grey the picture and say since when
 *     await view.stats();
 *     view.close();
 *
 * "Live" means that frames were decoded in the last two seconds, whatever the connection says.
 */
import { gathered } from "./gathered.js";

/**
 * @typedef {"connecting" | "waiting" | "live" | "stalled" | "refused" | "unreachable" | "closed"} Phase
 * connecting: no path yet; waiting: a path, but no picture ever came; live; stalled: the picture
 * stopped; refused: the server does not let us in; unreachable: the server does not answer;
 * closed: by us.
 */

/**
 * @typedef {object} ViewState
 * @property {Phase} phase
 * @property {boolean} live Whether frames were decoded in the last two seconds.
 * @property {number | null} lastFrameAt When the last frame was decoded (ms since 1970), or null.
 * @property {string} reason Words for a person, when it is not live.
 */

/**
 * @typedef {object} ViewStats
 * @property {boolean} live
 * @property {number} framesDecoded Since this connection began.
 * @property {number} framesDropped
 * @property {number} width
 * @property {number} height
 * @property {number} packetsLost
 * @property {number} kbitPerSecond Over the time since the last call.
 * @property {number} jitterMs
 * @property {number | null} roundTripMs
 * @property {number} connections Connections made since the start.
 */

/**
 * @typedef {object} ViewOptions
 * @property {(state: ViewState) => void} [onchange] Called at each change of phase.
 * @property {RTCIceServer[]} [iceServers] None by default.
 * @property {("video" | "audio")[]} [kinds] What to ask for; both by default. Of sound alone only sound:
 *   an element that waits for a picture plays nothing.
 * @property {boolean} [muted] Start muted (default), since browsers refuse to play sound unasked.
 */

const LIVE_WITHIN_MS = 2000;
const WATCH_EVERY_MS = 250;
const DISCONNECTED_FOR_MS = 2000;
const CONNECT_WITHIN_MS = 8000;
const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 5000;
const REFUSED_PAUSE_MS = 10000;

/** @type {Record<Phase, string>} */
const REASONS = {
  connecting: "connecting",
  waiting: "connected, no picture yet",
  live: "",
  stalled: "the picture has stopped",
  refused: "the server refused the view",
  unreachable: "the server does not answer",
  closed: "closed",
};

class RefusedError extends Error {}

/** One view; made by `subscribe`. */
export class WhepView {
  /**
   * @param {string} url
   * @param {string} token
   * @param {HTMLVideoElement} video
   * @param {ViewOptions} options
   */
  constructor(url, token, video, options) {
    this.url = url;
    this.token = token;
    this.video = video;
    this.options = options;
    /** @type {ViewState} */
    this.state = { phase: "connecting", live: false, lastFrameAt: null, reason: REASONS.connecting };
    this.connections = 0;
    /** @type {RTCPeerConnection | null} */
    this.peer = null;
    this.sessionUrl = "";
    this.frames = 0;
    this.pauseMs = FIRST_PAUSE_MS;
    /** @type {number | null} */
    this.disconnectedAt = null;
    this.startedAt = 0;
    this.lastBytes = 0;
    this.lastBytesAt = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.retry = undefined;
    this.watcher = setInterval(() => void this.watch(), WATCH_EVERY_MS);
    this.leave = () => this.endSession(true);
    addEventListener("pagehide", this.leave);
    video.muted = options.muted ?? true;
    video.autoplay = true;
    video.playsInline = true;
    void this.connect();
  }

  /** End the view and free everything. */
  close() {
    if (this.state.phase === "closed") return;
    clearInterval(this.watcher);
    clearTimeout(this.retry);
    removeEventListener("pagehide", this.leave);
    this.drop();
    this.video.srcObject = null;
    this.enter("closed");
  }

  /**
   * Figures of the present connection.
   * @returns {Promise<ViewStats>}
   */
  async stats() {
    /** @type {ViewStats} */
    const found = {
      live: this.state.live, framesDecoded: 0, framesDropped: 0, width: 0, height: 0,
      packetsLost: 0, kbitPerSecond: 0, jitterMs: 0, roundTripMs: null,
      connections: this.connections,
    };
    if (!this.peer) return found;
    let bytes = 0;
    for (const report of (await this.peer.getStats()).values()) {
      if (report.type === "inbound-rtp") {
        bytes += report.bytesReceived;
        if (report.kind !== "video") continue;
        found.framesDecoded = report.framesDecoded ?? 0;
        found.framesDropped = report.framesDropped ?? 0;
        found.width = report.frameWidth ?? 0;
        found.height = report.frameHeight ?? 0;
        found.packetsLost = report.packetsLost ?? 0;
        found.jitterMs = 1000 * (report.jitter ?? 0);
      } else if (report.type === "candidate-pair" && report.nominated) {
        const seconds = report.currentRoundTripTime;
        found.roundTripMs = seconds === undefined ? null : 1000 * seconds;
      }
    }
    const now = performance.now();
    const elapsedMs = now - this.lastBytesAt;
    if (this.lastBytesAt && elapsedMs > 0) {
      found.kbitPerSecond = Math.max(0, (8 * (bytes - this.lastBytes)) / elapsedMs);
    }
    this.lastBytes = bytes;
    this.lastBytesAt = now;
    return found;
  }

  /** @private */
  async connect() {
    const peer = new RTCPeerConnection({
      iceServers: this.options.iceServers ?? [],
      bundlePolicy: "max-bundle",
    });
    this.peer = peer;
    this.startedAt = performance.now();
    this.frames = 0;
    this.disconnectedAt = null;
    if (this.state.phase !== "stalled") this.enter("connecting");
    try {
      await this.negotiate(peer);
      if (this.peer === peer) this.connections += 1;
    } catch (error) {
      if (this.peer !== peer) return; // closed meanwhile
      const refused = error instanceof RefusedError;
      if (refused) this.video.srcObject = null; // who may not look keeps no last picture
      this.enter(refused ? "refused" : "unreachable", String(error));
      this.again(refused ? REFUSED_PAUSE_MS : undefined);
    }
  }

  /**
   * @private
   * @param {RTCPeerConnection} peer
   */
  async negotiate(peer) {
    const stream = new MediaStream();
    peer.addEventListener("track", (event) => {
      stream.addTrack(event.track);
      // Freshness before smoothness: this is a view of what happens now.
      if ("jitterBufferTarget" in event.receiver) event.receiver.jitterBufferTarget = 0;
      if (this.video.srcObject !== stream) this.video.srcObject = stream;
      this.video.play().catch(() => {}); // the page's visitor can start it
    });
    for (const kind of this.options.kinds ?? ["video", "audio"]) peer.addTransceiver(kind, { direction: "recvonly" });
    await peer.setLocalDescription();
    await gathered(peer);
    const response = await fetch(this.url, {
      method: "POST",
      body: peer.localDescription?.sdp ?? "",
      headers: { ...this.authorization(), "Content-Type": "application/sdp" },
      signal: AbortSignal.timeout(CONNECT_WITHIN_MS),
    });
    const text = await response.text();
    if ([401, 403, 406].includes(response.status)) throw new RefusedError(text.trim());
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
    const progress = await countProgress(peer);
    if (this.peer !== peer) return;
    const now = performance.now();
    if (progress > this.frames) {
      this.frames = progress;
      this.state.lastFrameAt = Date.now();
      this.pauseMs = FIRST_PAUSE_MS;
      this.enter("live");
    } else if (this.state.live && Date.now() - (this.state.lastFrameAt ?? 0) > LIVE_WITHIN_MS) {
      this.enter("stalled");
    } else if (this.state.phase === "connecting" && peer.connectionState === "connected") {
      this.enter("waiting");
    }
    if (this.isLost(peer, now)) {
      this.sessionUrl = ""; // the relay ends what is lost by itself
      if (this.state.live) this.enter("stalled", "the connection is lost");
      this.again();
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
    if (state === "connected") {
      this.disconnectedAt = null;
      // The relay's goodbye arrives here, seconds before ICE notices the silence.
      return peer.getReceivers().some((receiver) => receiver.transport?.state === "closed");
    }
    if (state === "disconnected") {
      this.disconnectedAt ??= now;
      return now - this.disconnectedAt > DISCONNECTED_FOR_MS;
    }
    return now - this.startedAt > CONNECT_WITHIN_MS;
  }

  /**
   * Build a new connection after a pause.
   * @private
   * @param {number} [pauseMs]
   */
  again(pauseMs) {
    this.drop();
    const wait = pauseMs ?? this.pauseMs * (0.75 + 0.5 * Math.random());
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
   * @param {Phase} phase
   * @param {string} [reason]
   */
  enter(phase, reason) {
    const changed = phase !== this.state.phase;
    this.state = {
      phase,
      live: phase === "live",
      lastFrameAt: this.state.lastFrameAt,
      reason: reason ?? REASONS[phase],
    };
    if (changed) this.options.onchange?.(this.state);
  }
}

/**
 * Show a resource in a <video> until closed.
 * @param {string} url The WHEP endpoint, such as `/whep/unit-7/cabin`.
 * @param {string} token Bearer token, or an empty string where a cookie is enough.
 * @param {HTMLVideoElement} video
 * @param {ViewOptions} [options]
 * @returns {WhepView}
 */
export function subscribe(url, token, video, options = {}) {
  return new WhepView(url, token, video, options);
}

/**
 * A number that grows while the view is live: decoded frames, or packets where there is only sound.
 * @param {RTCPeerConnection} peer
 * @returns {Promise<number>}
 */
async function countProgress(peer) {
  let frames = 0;
  let videoPackets = 0;
  let soundPackets = 0;
  for (const report of (await peer.getStats()).values()) {
    if (report.type !== "inbound-rtp") continue;
    if (report.kind === "video") {
      frames += report.framesDecoded ?? 0;
      videoPackets += report.packetsReceived ?? 0;
    } else {
      soundPackets += report.packetsReceived ?? 0;
    }
  }
  return videoPackets > 0 ? frames : soundPackets;
}
