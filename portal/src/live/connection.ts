const firstPauseMs = 500;
const longestPauseMs = 20_000;
const fullPauseMs = 60_000;
const notLoggedIn = 4401;
const tooMany = 4429;

/** Who hears what a line says. */
export interface LineListener {
  /** One message, as it came. */
  heard: (message: string) => void;
  /** The line is up (what happened while it was down is to be looked up) or down. */
  connected: (up: boolean) => void;
  /** The session is over: nothing more will come. */
  ended: () => void;
}

/**
 * A socket to `/api/live` that is opened again by itself, after pauses that double up to 20 s and are blurred, so that a restarted
 * server is not met by every open page at once. Where the server has enough of this account's sockets it is tried each minute.
 */
export class Line {
  #socket: WebSocket | null = null;
  #isUp = false;
  #closed = false;
  #pauseMs = firstPauseMs;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #listener: LineListener;

  constructor(listener: LineListener) {
    this.#listener = listener;
    this.open();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Try now, if it is not open. */
  open(): void {
    clearTimeout(this.#timer);
    if (this.#closed || this.#socket !== null) return;
    const socket = (this.#socket = new WebSocket(
      `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/live`,
    ));
    socket.onopen = () => {
      if (socket === this.#socket) this.#tell(true);
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      this.#pauseMs = firstPauseMs;
      if (socket === this.#socket) this.#listener.heard(event.data);
    };
    socket.onclose = (event) => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      this.#tell(false);
      if (event.code === notLoggedIn) {
        this.close();
        this.#listener.ended();
        return;
      }
      const pauseMs = event.code === tooMany ? fullPauseMs : this.#pauseMs;
      this.#timer = setTimeout(() => this.open(), pauseMs * (0.75 + Math.random() / 2));
      this.#pauseMs = Math.min(longestPauseMs, this.#pauseMs * 2);
    };
  }

  /** Hang up for good. */
  close(): void {
    clearTimeout(this.#timer);
    this.#closed = true;
    const socket = this.#socket;
    this.#socket = null;
    this.#isUp = false;
    socket?.close();
  }

  #tell(up: boolean): void {
    this.#isUp = up;
    this.#listener.connected(up);
  }
}
