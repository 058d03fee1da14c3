/**
 * The SharedWorker that holds the connection of all pages of one session. A page sends the name of a
 * lock that it holds while it is open, as a worker is not told when a page is closed. Without locks
 * (plain http) the page sends `leave`.
 */
import { LiveConnection } from "./connection";
import type { FromWorker, ToWorker } from "./sharedWorker";

const ports = new Set<MessagePort>();
let connection: LiveConnection | null = null;

function send(port: MessagePort, message: FromWorker): void {
  port.postMessage(message);
}

function sendToAll(message: FromWorker): void {
  for (const port of ports) send(port, message);
}

function join(port: MessagePort): void {
  ports.add(port);
  send(port, { type: "joined" });
  if (connection !== null) {
    if (connection.connected) send(port, { type: "connected", connected: true });
    return;
  }
  connection = new LiveConnection({
    onMessage: (message) => sendToAll({ type: "message", message }),
    onConnected: (connected) => sendToAll({ type: "connected", connected }),
    onEnd: () => {
      connection = null;
      sendToAll({ type: "end" });
      ports.clear();
    },
  });
}

function leave(port: MessagePort): void {
  ports.delete(port);
  if (ports.size > 0) return;
  connection?.close();
  connection = null;
}

addEventListener("connect", (event) => {
  const port = (event as MessageEvent).ports[0];
  if (port === undefined) return;
  port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
    if (data.type === "join") {
      join(port);
      if (data.lock !== null) void navigator.locks?.request(data.lock, () => leave(port));
    } else if (data.type === "leave") leave(port);
    else connection?.open();
  };
});
