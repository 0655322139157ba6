/** A proxy before a service, by which a test loses connections when it wants to. */

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface Proxy {
  url: string;
  /** Closes every connection; new ones are made as before. */
  cut(): void;
  /** From now on nothing gets through, and nobody is told: a network that is gone. */
  silence(): void;
  /** Ends the silence for new connections. What was silent stays so. */
  speak(): void;
  close(): Promise<void>;
}

const BAD_GATEWAY = "<html><h1>502 Bad Gateway</h1></html>";

/** Starts a proxy before `service`; where that is not there, it answers as proxies do. */
export async function startProxy(service: string): Promise<Proxy> {
  const { hostname, port } = new URL(service);
  const open = new Set<Socket>();
  let silent = false;
  const keep = (socket: Socket): void => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
  };
  const server = createServer((near) => {
    keep(near);
    if (silent) return;
    const far = connect(Number(port), hostname);
    let reached = false;
    far.on("connect", () => (reached = true));
    far.on("error", () => {
      if (!reached) near.end(`HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: ${BAD_GATEWAY.length}\r\nConnection: close\r\n\r\n${BAD_GATEWAY}`);
    });
    keep(far);
    far.on("close", () => reached && near.destroy());
    near.on("close", () => far.destroy());
    near.pipe(far, { end: false });
    far.pipe(near, { end: false });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const each = (action: (socket: Socket) => void): void => [...open].forEach(action);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: () => each((socket) => socket.destroy()),
    silence() {
      silent = true;
      each((socket) => socket.unpipe().pause());
    },
    speak: () => (silent = false),
    async close() {
      server.close();
      each((socket) => socket.destroy());
      await once(server, "close");
    },
  };
}
