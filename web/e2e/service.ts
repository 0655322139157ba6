/** A `brig` of one's own: on a free port, with its own data, ended by its process id. */

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const target = process.env["CARGO_TARGET_DIR"] ?? fileURLToPath(new URL("../../target", import.meta.url));
const binary = process.env["BRIG_BIN"] ?? join(target, "debug", "brig");
/** Where screenshots and logs are kept. */
export const artefacts = join(target, "e2e");

/** A cold start proves every layer first, which a busy machine makes slow. */
const START_TIMEOUT_MS = 90_000;

export interface Service {
  url: string;
  /** Ends it as an operator would. */
  stop(): Promise<void>;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
}

export interface Options {
  args?: string[];
  /** A configuration file's text. */
  config?: string;
  port?: number;
  /** A data directory to use again; without, a fresh one that goes with the service. */
  data?: string;
  /** A program and its arguments that starts the service instead. */
  through?: string[];
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Starts a service and waits until it can run code. */
export async function startService(options: Options = {}): Promise<Service> {
  const port = options.port ?? (await freePort());
  const own = mkdtempSync(join(tmpdir(), "brig-e2e-"));
  chmodSync(own, 0o711); // the service's own user must get through
  const args = ["serve", "--listen", `127.0.0.1:${port}`, "--data", options.data ?? join(own, "data"), ...(options.args ?? [])];
  if (options.config !== undefined) {
    const path = join(own, "brig.toml");
    writeFileSync(path, options.config);
    args.push("--config", path);
  }
  const log = openSync(join(artefacts, `brig-${port}.log`), "a");
  const [program, ...before] = [...(options.through ?? []), binary];
  const child = spawn(program, [...before, ...args], { stdio: ["ignore", log, log] });
  const url = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    await end(child);
    rmSync(own, { recursive: true, force: true });
  };
  try {
    await ready(url, child);
  } catch (error) {
    await stop();
    throw error;
  }
  const kill = async (): Promise<void> => {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  return { url, stop, kill };
}

async function ready(url: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`brig ended with code ${child.exitCode}; its log is in ${artefacts}`);
    const answer = await fetch(`${url}/readyz`).catch(() => null);
    if (answer?.ok === true) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`brig was not ready within ${START_TIMEOUT_MS} ms; its log is in ${artefacts}`);
}

/** How long a service may take to end by itself. */
const STOP_TIMEOUT_MS = 20_000;

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

/** A data directory for several services in turn. */
export function dataDirectory(): { path: string; remove(): void } {
  const own = mkdtempSync(join(tmpdir(), "brig-e2e-"));
  chmodSync(own, 0o711);
  return { path: join(own, "data"), remove: () => rmSync(own, { recursive: true, force: true }) };
}

/** Services in turn, at one port and with the same data. */
export interface Succession {
  /** The one that was started last. */
  current: Service;
  /** Starts another one when that has ended. */
  next(): Promise<void>;
}

/** Starts a service that may have successors, for as long as `use` takes. */
export async function inSuccession(options: Pick<Options, "args" | "config">, use: (services: Succession) => Promise<void>): Promise<void> {
  const data = dataDirectory();
  const port = await freePort();
  const start = (): Promise<Service> => startService({ ...options, port, data: data.path });
  const services: Succession = {
    current: await start(),
    async next() {
      services.current = await start();
    },
  };
  try {
    await use(services);
  } finally {
    await services.current.stop();
    data.remove();
  }
}

/** Runs `brig keys` on a data directory; returns what it printed. */
function keys(data: string, ...args: string[]): string {
  const ran = spawnSync(binary, ["keys", ...args, "--data", data], { encoding: "utf8" });
  if (ran.status !== 0) throw new Error(`brig keys ${args[0] ?? ""}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout;
}

/** Makes a key with the scopes `scopes`, in a data directory. */
export function createKey(data: string, scopes = "run"): string {
  const said = keys(data, "create", "--name", "e2e", "--scopes", scopes);
  const key = /\bbrig_\S+/.exec(said)?.[0];
  if (key === undefined) throw new Error(`no key was made: ${said}`);
  return key;
}

export const revokeKey = (data: string, key: string): string => keys(data, "revoke", key);
