import type { Call } from "../api/model";

/** The speeds a recording can be heard at. */
export const speeds = [0.75, 1, 1.25, 1.5, 1.75, 2] as const;

/**
 * What is being played. The state follows the native audio element's own events, so that the headset's buttons and the
 * browser's controls tell the same story as ours.
 */
class Playing {
  call = $state.raw<Call | null>(null);
  paused = $state(true);
  timeS = $state(0);
  lengthS = $state(0);
  speed = $state<number>(1);
  failed = $state(false);

  #audio: HTMLAudioElement | null = null;
  #startS = 0;

  /** Load a call's recording and play it as soon as it can be heard, from `fromMs`. */
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
    this.call = call;
  }

  close(): void {
    this.#audio?.pause();
    this.call = null;
    this.paused = true;
  }

  /** Take the element over; returns what gives it back. */
  attach(audio: HTMLAudioElement): () => void {
    this.#audio = audio;
    audio.playbackRate = this.speed;
    const follow = (): void => {
      this.paused = audio.paused;
      this.timeS = audio.currentTime;
    };
    const known = (): void => {
      if (Number.isFinite(audio.duration)) this.lengthS = audio.duration;
      audio.playbackRate = this.speed;
      if (this.#startS > 0) audio.currentTime = this.#startS;
    };
    const broke = (): void => {
      this.failed = true;
      this.paused = true;
    };
    const events = ["play", "pause", "timeupdate", "seeked", "ended"] as const;
    for (const event of events) audio.addEventListener(event, follow);
    audio.addEventListener("loadedmetadata", known);
    audio.addEventListener("error", broke);
    return () => {
      for (const event of events) audio.removeEventListener(event, follow);
      audio.removeEventListener("loadedmetadata", known);
      audio.removeEventListener("error", broke);
      audio.pause();
      if (this.#audio === audio) this.#audio = null;
    };
  }

  /** Read the element's clock, more often than it tells it by itself: for a waveform that moves evenly. */
  look(): void {
    if (this.#audio !== null) this.timeS = this.#audio.currentTime;
  }

  play(): void {
    // A browser that forbids sound before a click leaves the player paused, which its button shows.
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

  /** Go to a second of the recording; beyond its ends counts as the end. */
  seek(second: number): void {
    const within = Math.min(Math.max(0, second), Math.max(0, this.lengthS - 0.05));
    if (this.#audio !== null) this.#audio.currentTime = within;
    this.timeS = within;
  }

  skip(seconds: number): void {
    this.look();
    this.seek(this.timeS + seconds);
  }

  setSpeed(speed: number): void {
    this.speed = speed;
    if (this.#audio !== null) this.#audio.playbackRate = speed;
  }

  /** The next speed up (1) or down (-1); stays at the last. */
  changeSpeed(step: 1 | -1): void {
    const next = speeds[speeds.findIndex((one) => one === this.speed) + step];
    if (next !== undefined) this.setSpeed(next);
  }
}

export const playing = new Playing();
