/**
 * The one line of a browser, shared by all its pages of one session. A page joins with the name of a lock that it holds as long as it
 * lives: only so does the worker learn that a page was closed. Without locks (plain http) it says so itself.
 */
import { Line } from "./connection";
import type { FromLine, ToLine } from "./sharedWorker";

const ports = new Set<MessagePort>();
let line: Line | null = null;

function tell(port: MessagePort, said: FromLine): void {
  port.postMessage(said);
}

function tellAll(said: FromLine): void {
  for (const port of ports) tell(port, said);
}

function join(port: MessagePort): void {
  ports.add(port);
  if (line !== null) {
    if (line.isUp) tell(port, { type: "connected", up: true });
    return;
  }
  line = new Line({
    heard: (message) => tellAll({ type: "heard", message }),
    connected: (up) => tellAll({ type: "connected", up }),
    ended: () => {
      line = null;
      tellAll({ type: "ended" });
      ports.clear();
    },
  });
}

function leave(port: MessagePort): void {
  ports.delete(port);
  if (ports.size > 0) return;
  line?.close();
  line = null;
}

addEventListener("connect", (event) => {
  const port = (event as MessageEvent).ports[0];
  if (port === undefined) return;
  port.onmessage = ({ data }: MessageEvent<ToLine>) => {
    if (data.type === "join") {
      join(port);
      if (data.lock !== null) void navigator.locks?.request(data.lock, () => leave(port));
    } else if (data.type === "leave") leave(port);
    else line?.open();
  };
});
