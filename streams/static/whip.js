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
import { MediaSession, RefusedError } from "./media_session.js";

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
const VIDEO_BPS = 500_000;
const SOUND_BPS = 32_000;

/** What is sent; made by `publish`. */
export class WhipPublication extends MediaSession {
  /**
   * @param {string} url
   * @param {string} token
   * @param {MediaStream} stream
   * @param {SendOptions} options
   */
  constructor(url, token, stream, options) {
    super(url, token, options.iceServers ?? []);
    this.stream = stream;
    this.options = options;
    /** @type {SendPhase} */
    this.phase = "connecting";
    this.heard = 0;
    this.heardAt = 0;
    this.begin(WATCH_EVERY_MS);
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

  /**
   * @override
   * @protected
   * @param {RTCPeerConnection} peer
   */
  prepare(peer) {
    this.heard = 0;
    this.heardAt = 0;
    for (const track of this.stream.getTracks()) {
      const maxBitrate = track.kind === "video" ? this.options.videoBps ?? VIDEO_BPS : SOUND_BPS;
      // One encoding: of several a relay that knows no simulcast would get the smallest.
      peer.addTransceiver(track, { direction: "sendonly", streams: [this.stream], sendEncodings: [{ maxBitrate }] });
    }
  }

  /**
   * @override
   * @protected
   * @param {unknown} error
   */
  failed(error) {
    if (error instanceof RefusedError) {
      this.finish();
      this.enter("refused");
    } else {
      this.enter("unreachable");
      this.again();
    }
  }

  /**
   * @override
   * @protected
   * @param {RTCPeerConnection} peer
   * @param {RTCStatsReport} stats
   * @param {number} now
   */
  watch(peer, stats, now) {
    const heard = countReceived(stats);
    if (heard > this.heard) {
      this.heard = heard;
      this.heardAt = now;
      this.works();
      if (peer.connectionState === "connected") this.enter("live");
    }
    if (this.isLost(peer, now)) {
      this.sessionUrl = ""; // the relay ends what is lost by itself; the next path replaces it
      if (this.phase === "live") this.enter("lost");
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
    if (peer.getSenders().some((sender) => sender.transport?.state === "closed")) return true;
    if (this.heardAt) return now - this.heardAt > SILENT_MS;
    return now - this.startedAt > MediaSession.CONNECT_WITHIN_MS;
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
 * @param {RTCStatsReport} stats
 */
function countReceived(stats) {
  let bytes = 0;
  for (const report of stats.values()) {
    if (report.type === "candidate-pair" && report.nominated) bytes += report.bytesReceived ?? 0;
  }
  return bytes;
}
