// Asks the sidecar that the page came from; the one file that reaches a network.

/** Letters of an answer that are read: some 1,400 buckets, 64 sessions, 64 events and 128 models make less than 300 KiB. */
const ANSWER_MAX = 4 * 1024 * 1024;

/** An answer that takes longer is none. */
const PATIENCE_MS = 20_000;

/** What is wrong with an answer. */
export class Refused extends Error {
  /** The status of HTTP; 0 where there was no answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Asks on behalf of whoever holds the token, which is kept here and nowhere else. */
export class Asker {
  #token = "";

  /** Uses `token` from now on; an empty one is none. */
  take(token: string): void {
    this.#token = token.trim();
  }

  /** The JSON at `path`, which starts where the page lies. */
  async json(path: string): Promise<unknown> {
    const headers: Record<string, string> = { Accept: "application/json" };
    if (this.#token !== "") {
      headers["Authorization"] = `Bearer ${this.#token}`;
    }
    let status = 0;
    let text = "";
    try {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const answer = await fetch(path, { headers, cache: "no-store", redirect: "error", credentials: "same-origin", signal });
      status = answer.status;
      text = await answer.text();
    } catch {
      throw new Refused(0, "the sidecar does not answer");
    }
    if (status !== 200) {
      throw new Refused(status, messageIn(text.slice(0, 10_000)) ?? `the sidecar answers with status ${status}`);
    }
    if (text.length > ANSWER_MAX) {
      throw new Refused(status, "the answer is longer than any that this page expects");
    }
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw new Refused(status, "the answer is no JSON");
    }
  }
}

/** What a refusal says. */
function messageIn(text: string): string | null {
  try {
    const message = (JSON.parse(text) as { message?: unknown }).message;
    return typeof message === "string" ? message : null;
  } catch {
    return null;
  }
}
