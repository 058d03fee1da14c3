const firstPauseMs = 500;
const longestPauseMs = 20_000;
const tooManyPauseMs = 60_000;
// The API's close codes.
const notLoggedIn = 4401;
const tooManySockets = 4429;

export interface ConnectionListener {
  /** A message has come, as text. */
  onMessage: (message: string) => void;
  /** The connection is up or down. Events that happen while it is down are not repeated. */
  onConnected: (connected: boolean) => void;
  /** The session is over: no message will come any more. */
  onEnd: () => void;
}

/**
 * A WebSocket to `/api/live` that reconnects by itself. The pauses double up to 20 s and are
 * randomised, so that not all open pages reconnect to a restarted server at once. If the account
 * has too many sockets, it tries once a minute.
 */
export class LiveConnection {
  #socket: WebSocket | null = null;
  #connected = false;
  #closed = false;
  #pauseMs = firstPauseMs;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #listener: ConnectionListener;

  constructor(listener: ConnectionListener) {
    this.#listener = listener;
    this.open();
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Connect now, if there is no socket. */
  open(): void {
    clearTimeout(this.#timer);
    if (this.#closed || this.#socket !== null) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = (this.#socket = new WebSocket(`${scheme}://${location.host}/api/live`));
    socket.onopen = () => {
      if (socket === this.#socket) this.#setConnected(true);
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      this.#pauseMs = firstPauseMs;
      if (socket === this.#socket) this.#listener.onMessage(event.data);
    };
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#onClose(event.code);
    };
  }

  /** Close the connection for good. */
  close(): void {
    clearTimeout(this.#timer);
    this.#closed = true;
    const socket = this.#socket;
    this.#socket = null;
    this.#connected = false;
    socket?.close();
  }

  #onClose(code: number): void {
    this.#socket = null;
    this.#setConnected(false);
    if (code === notLoggedIn) {
      this.close();
      this.#listener.onEnd();
      return;
    }
    const pauseMs = code === tooManySockets ? tooManyPauseMs : this.#pauseMs;
    this.#timer = setTimeout(() => this.open(), pauseMs * (0.75 + Math.random() / 2));
    this.#pauseMs = Math.min(longestPauseMs, this.#pauseMs * 2);
  }

  #setConnected(connected: boolean): void {
    this.#connected = connected;
    this.#listener.onConnected(connected);
  }
}
