/**
 * A remote worker by long poll, with what Node brings alone. It is TypeScript; Node 22.18 and newer run it as it is.
 *
 *     node worker.mts http://127.0.0.1:8080 shipping
 *
 * An outcome is kept and sent again until it is acknowledged, each poll says what is held, and a session that is gone is begun anew.
 */

interface Task {
  fence: string;
  step: string;
  compensation: boolean;
  attempt: number;
  idempotency_key: string;
  action_key: string;
  input: Record<string, unknown>;
  output: unknown;
  timeout_seconds: number;
}

interface Outcome {
  fence: string;
  output?: unknown;
  failure?: { kind: "refused" | "permanent" | "temporary"; message: string };
}

interface News {
  tasks: Task[];
  acknowledged: { fence: string; recorded: boolean }[];
  cancelled: { fence: string; reason: string }[];
  over: string[];
  drain: boolean;
}

class Refused extends Error {}
class SessionGone extends Error {}
class Final extends Error {}

type Code = (task: Task, signal: AbortSignal) => Promise<unknown>;
type Step = { action: Code; compensation?: Code; timeoutSeconds?: number };

const CREDIT = 8;
const WAIT_SECONDS = 10;
const SILENCE_MS = 20_000;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

class Worker {
  private session = "";
  private readonly running = new Map<string, AbortController>();
  private readonly kept = new Map<string, Outcome>();
  private polling: AbortController | undefined;
  private stopping = false;
  private readonly server: string;
  private readonly participant: string;
  private readonly steps: Record<string, Step>;

  constructor(server: string, participant: string, steps: Record<string, Step>) {
    this.server = server;
    this.participant = participant;
    this.steps = steps;
  }

  stop(): void {
    this.stopping = true;
    this.polling?.abort("news");
  }

  async run(): Promise<void> {
    let pause = 100;
    while (!this.stopping || this.running.size > 0 || this.kept.size > 0) {
      try {
        await (this.session === "" ? this.join() : this.poll());
        pause = 100;
      } catch (error) {
        if (error instanceof Final) throw error;
        if (error instanceof SessionGone) this.forget();
        await sleep(pause);
        pause = Math.min(2 * pause, 5_000);
      }
    }
    await this.call("DELETE", `/v1/workers/${this.session}`).catch(() => undefined);
  }

  private async join(): Promise<void> {
    const steps = Object.entries(this.steps).map(([name, step]) => ({
      name,
      compensation: step.compensation !== undefined,
      timeout_seconds: step.timeoutSeconds ?? null,
    }));
    const asked = { participant: this.participant, steps, credit: CREDIT, worker: "node" };
    this.session = ((await this.call("POST", "/v1/workers", asked)) as { session: string }).session;
  }

  private async poll(): Promise<void> {
    const outcomes = [...this.kept.values()];
    this.polling = new AbortController();
    const asked = {
      credit: CREDIT,
      holding: [...this.running.keys()],
      outcomes,
      wait_seconds: outcomes.length > 0 ? 0.5 : WAIT_SECONDS,
      drain: this.stopping,
    };
    try {
      this.take((await this.call("POST", `/v1/workers/${this.session}/poll`, asked, this.polling.signal)) as News);
    } catch (error) {
      if (this.polling.signal.aborted) return; // with an outcome to bring; what the answer had is told again
      throw error;
    } finally {
      this.polling = undefined;
    }
  }

  private take(told: News): void {
    for (const { fence } of told.acknowledged) this.kept.delete(fence);
    for (const fence of told.over) {
      this.kept.delete(fence);
      this.running.get(fence)?.abort();
    }
    for (const { fence } of told.cancelled) this.running.get(fence)?.abort();
    for (const task of told.tasks) {
      if (!this.running.has(task.fence) && !this.kept.has(task.fence)) void this.begin(task);
    }
  }

  private async begin(task: Task): Promise<void> {
    const controller = new AbortController();
    this.running.set(task.fence, controller);
    const outcome: Outcome = { fence: task.fence };
    try {
      const step = this.steps[task.step];
      const code = task.compensation ? step?.compensation : step?.action;
      if (code === undefined) throw new Error(`this worker has no code for ${task.step}`);
      outcome.output = (await code(task, controller.signal)) ?? null;
    } catch (error) {
      const kind = error instanceof Refused ? "refused" : "temporary";
      outcome.failure = { kind, message: error instanceof Error ? error.message : String(error) };
    }
    this.running.delete(task.fence);
    this.kept.set(task.fence, outcome);
    this.polling?.abort("news");
  }

  private forget(): void {
    this.session = "";
    this.kept.clear();
    for (const controller of this.running.values()) controller.abort();
  }

  private async call(method: string, path: string, asked?: unknown, signal?: AbortSignal): Promise<unknown> {
    const limit = AbortSignal.timeout(SILENCE_MS);
    const response = await fetch(this.server + path, {
      method,
      signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
      ...(asked === undefined ? {} : { body: JSON.stringify(asked), headers: { "Content-Type": "application/json" } }),
    });
    const said = await response.text();
    if (response.status === 404) throw new SessionGone();
    if (response.status === 400 || response.status === 409) throw new Final(said);
    if (!response.ok) throw new Error(`${response.status} ${said}`);
    return said === "" ? undefined : JSON.parse(said);
  }
}

const [server, participant] = process.argv.slice(2);
if (server === undefined || participant === undefined) {
  console.error("usage: worker.mts SERVER PARTICIPANT");
  process.exit(2);
}
const worker = new Worker(server, participant, {
  ship: {
    timeoutSeconds: 30,
    action: async (task) => {
      if (task.input.to === "nowhere") throw new Refused("there is no such place");
      return { parcel: `to ${task.input.to}` };
    },
  },
});
process.on("SIGTERM", () => worker.stop());
process.on("SIGINT", () => worker.stop());
await worker.run();
