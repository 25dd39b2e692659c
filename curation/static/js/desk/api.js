// Calls of the review API. A refusal is an answer; only what may be tried again is thrown as `Unreached`.

const PATIENCE = 15_000; // milliseconds until an answer counts as lost

/** Nobody answered, or somebody who could not: try again later. */
export class Unreached extends Error {}

/** The session ended: nothing will succeed until the person signs in again. */
export class SignedOut extends Error {}

/** The API said no: `status`, and `answer` with `code`, `message` and perhaps `field`. */
export class Refusal extends Error {
  constructor(status, answer) {
    super(answer.message ?? "");
    Object.assign(this, { status, answer, code: answer.code ?? "", field: answer.field ?? "" });
  }
}

export class Api {
  constructor({ base, csrf, fetching = (...all) => fetch(...all) }) {
    Object.assign(this, { base, csrf, fetching });
  }

  post(path, body = {}, headers = {}) { return this.call("POST", path, body, headers); }
  put(path, body, headers = {}) { return this.call("PUT", path, body, headers); }
  delete(path) { return this.call("DELETE", path); }
  get(path) { return this.call("GET", path); }

  async call(method, path, body, headers = {}) {
    const sent = { Accept: "application/json", ...headers };
    if (method !== "GET") sent["X-CSRFToken"] = this.csrf;
    if (body !== undefined) sent["Content-Type"] = "application/json";
    let response;
    try {
      response = await this.fetching(this.base + path, {
        method, headers: sent, credentials: "same-origin", redirect: "manual", cache: "no-store",
        body: body === undefined ? undefined : JSON.stringify(body),
        keepalive: method === "POST", // a verdict under way outlives its page
        signal: AbortSignal.timeout(PATIENCE),
      });
    } catch (error) {
      throw new Unreached(String(error));
    }
    return this.read(response);
  }

  async read(response) {
    const { status } = response;
    if (status === 401 || response.type === "opaqueredirect") throw new SignedOut();
    if (status === 408 || status === 425 || status === 429 || status >= 500) throw new Unreached(`status ${status}`);
    let answer = {};
    try {
      answer = status === 204 ? {} : await response.json();
    } catch (error) {
      if (status === 403) throw new SignedOut();
      throw new Unreached(String(error)); // cut off half-way: the act may have happened, so ask again with the same key
    }
    if (status === 403 && /csrf/i.test(answer.message ?? "")) throw new SignedOut(); // signed in anew elsewhere: this page is old
    if (!response.ok) throw new Refusal(status, answer);
    return answer;
  }
}
