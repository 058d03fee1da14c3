import type { Call } from "../api/model";
import { afterSilence, type Span } from "./speech";

/** The playback speeds. */
export const speeds = [0.75, 1, 1.25, 1.5, 1.75, 2] as const;

/**
 * The recording that is played. Its state follows the events of the audio element, so that the
 * buttons of a headset and the browser's own controls have the same effect as the player's.
 */
class Playing {
  call = $state.raw<Call | null>(null);
  paused = $state(true);
  timeS = $state(0);
  lengthS = $state(0);
  speed = $state<number>(1);
  failed = $state(false);
  /** Whether to leave out the `silences` while playing. */
  skipsSilence = $state(false);
  silences = $state.raw<readonly Span[]>([]);

  #audio: HTMLAudioElement | null = null;
  #startS = 0;

  /** Load the recording of a call and play it from `fromMs`. */
  open(call: Call, fromMs = 0): void {
    if (this.call?.id === call.id) {
      this.seek(fromMs / 1000);
      this.play();
      return;
    }
    this.#startS = fromMs / 1000;
    this.timeS = this.#startS;
    this.lengthS = (call.recording.duration_ms ?? 0) / 1000;
    this.failed = false;
    this.paused = true;
    this.silences = [];
    this.call = call;
  }

  close(): void {
    this.#audio?.pause();
    this.call = null;
    this.paused = true;
  }

  /** Use an audio element until the returned function is called. */
  attach(audio: HTMLAudioElement): () => void {
    this.#audio = audio;
    audio.playbackRate = this.speed;
    const follow = (): void => {
      this.paused = audio.paused;
      this.readPosition();
    };
    const onMetadata = (): void => {
      if (Number.isFinite(audio.duration)) this.lengthS = audio.duration;
      audio.playbackRate = this.speed;
      if (this.#startS > 0) audio.currentTime = this.#startS;
    };
    const onError = (): void => {
      this.failed = true;
      this.paused = true;
    };
    const events = ["play", "pause", "timeupdate", "seeked", "ended"] as const;
    for (const event of events) audio.addEventListener(event, follow);
    audio.addEventListener("loadedmetadata", onMetadata);
    audio.addEventListener("error", onError);
    return () => {
      for (const event of events) audio.removeEventListener(event, follow);
      audio.removeEventListener("loadedmetadata", onMetadata);
      audio.removeEventListener("error", onError);
      audio.pause();
      if (this.#audio === audio) this.#audio = null;
    };
  }

  /** Read the position from the audio element, between its own reports. */
  readPosition(): void {
    if (this.#audio === null) return;
    this.timeS = this.#audio.currentTime;
    if (!this.skipsSilence || this.#audio.paused || this.#audio.seeking) return;
    const next = afterSilence(this.silences, this.timeS);
    if (next !== null) this.seek(next);
  }

  play(): void {
    // The browser may forbid sound before the first click; then the player stays paused.
    this.#audio?.play().catch(() => (this.paused = true));
  }

  toggle(): void {
    if (this.paused) this.play();
    else this.#audio?.pause();
  }

  stop(): void {
    this.#audio?.pause();
    this.seek(0);
  }

  /** Go to a second of the recording, at most to its ends. */
  seek(second: number): void {
    const within = Math.min(Math.max(0, second), Math.max(0, this.lengthS - 0.05));
    if (this.#audio !== null) this.#audio.currentTime = within;
    this.timeS = within;
  }

  skip(seconds: number): void {
    this.readPosition();
    this.seek(this.timeS + seconds);
  }

  setSpeed(speed: number): void {
    this.speed = speed;
    if (this.#audio !== null) this.#audio.playbackRate = speed;
  }

  /** Select the next higher (1) or lower (-1) speed, if there is one. */
  changeSpeed(step: 1 | -1): void {
    const next = speeds[speeds.findIndex((speed) => speed === this.speed) + step];
    if (next !== undefined) this.setSpeed(next);
  }
}

export const playing = new Playing();
