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
import { MediaSession, RefusedError } from "./media_session.js";

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

/** One view; made by `subscribe`. */
export class WhepView extends MediaSession {
  /**
   * @param {string} url
   * @param {string} token
   * @param {HTMLVideoElement} video
   * @param {ViewOptions} options
   */
  constructor(url, token, video, options) {
    super(url, token, options.iceServers ?? []);
    this.video = video;
    this.options = options;
    /** @type {ViewState} */
    this.state = { phase: "connecting", live: false, lastFrameAt: null, reason: REASONS.connecting };
    this.frames = 0;
    /** @type {number | null} */
    this.disconnectedAt = null;
    this.lastBytes = 0;
    this.lastBytesAt = 0;
    video.muted = options.muted ?? true;
    video.autoplay = true;
    video.playsInline = true;
    this.begin(WATCH_EVERY_MS);
  }

  /** End the view and free everything. */
  close() {
    if (this.state.phase === "closed") return;
    this.finish();
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

  /**
   * @override
   * @protected
   * @param {RTCPeerConnection} peer
   */
  prepare(peer) {
    this.frames = 0;
    this.disconnectedAt = null;
    if (this.state.phase !== "stalled") this.enter("connecting");
    const stream = new MediaStream();
    peer.addEventListener("track", (event) => {
      stream.addTrack(event.track);
      // Freshness before smoothness: this is a view of what happens now.
      if ("jitterBufferTarget" in event.receiver) event.receiver.jitterBufferTarget = 0;
      if (this.video.srcObject !== stream) this.video.srcObject = stream;
      this.video.play().catch(() => {}); // the page's visitor can start it
    });
    for (const kind of this.options.kinds ?? ["video", "audio"]) peer.addTransceiver(kind, { direction: "recvonly" });
  }

  /**
   * @override
   * @protected
   * @param {unknown} error
   */
  failed(error) {
    const refused = error instanceof RefusedError;
    if (refused) this.video.srcObject = null; // who may not look keeps no last picture
    this.enter(refused ? "refused" : "unreachable", String(error));
    this.again(refused ? REFUSED_PAUSE_MS : undefined);
  }

  /**
   * @override
   * @protected
   * @param {RTCPeerConnection} peer
   * @param {RTCStatsReport} stats
   * @param {number} now
   */
  watch(peer, stats, now) {
    const progress = countProgress(stats);
    if (progress > this.frames) {
      this.frames = progress;
      this.state.lastFrameAt = Date.now();
      this.works();
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
    return now - this.startedAt > MediaSession.CONNECT_WITHIN_MS;
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
 * @param {RTCStatsReport} stats
 */
function countProgress(stats) {
  let frames = 0;
  let videoPackets = 0;
  let soundPackets = 0;
  for (const report of stats.values()) {
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
