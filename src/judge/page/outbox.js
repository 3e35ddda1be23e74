// outbox.js - talking to the server, and answers on their way to it.
//
// An answer stands in localStorage, under a key of its own so that two windows do not overwrite each other's, from the
// moment it is given until the server has acknowledged it. The server takes the same answer twice as one, so whatever
// was sent without a reply is simply sent again.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  // True where the same request may well be taken later.
  get passing() {
    return this.status === 0 || this.status === 401 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

const json = (reply) => reply.json();

// What `read` makes of the reply, its JSON; throws Refused, with status 0 if no reply came. All must be here in
// `seconds`.
export async function ask(path, body, { read = json, seconds = 20 } = {}) {
  const request = body === undefined
    ? {}
    : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let reply;
  try {
    reply = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(1000 * seconds), ...request });
  } catch {
    throw new Refused(0, "no connection");
  }
  let content = null;
  try {
    content = await (reply.ok ? read : json)(reply);
  } catch {
    // An error of something between here and the server may have no JSON: its status says enough.
  }
  if (!reply.ok || content === null) {
    throw new Refused(reply.ok ? 500 : reply.status, content?.error ?? `the server answered ${reply.status}`);
  }
  return content;
}

// Resolves after `seconds`, or as soon as the browser is online again.
function pause(seconds) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      resolve();
    };
    const timer = setTimeout(end, 1000 * seconds);
    addEventListener("online", end);
  });
}

// ask() until it is taken or refused for good; `waiting` hears why it takes long.
export async function insist(path, body, waiting, how) {
  for (let seconds = 1; ; seconds = Math.min(2 * seconds, 10)) {
    try {
      return await ask(path, body, how);
    } catch (problem) {
      if (!(problem instanceof Refused) || !problem.passing) throw problem;
      waiting(problem);
      await pause(seconds);
    }
  }
}

export class Outbox {
  #prefix;
  #listener;
  #events;
  #items = new Map(); // task -> {path, body}, oldest first
  #sending = null;

  // `name` has the id `listener`. `events`: saved(item, reply), refused(item, problem), waiting(problem).
  constructor(study, name, listener, events) {
    this.#prefix = `attune.outbox ${study} ${name} `;
    this.#listener = listener;
    this.#events = events;
    const kept = [];
    try {
      for (const key of Object.keys(localStorage)) {
        if (key.startsWith(this.#prefix)) kept.push(JSON.parse(localStorage.getItem(key)));
      }
    } catch {
      // No storage, or not ours: begin with what is readable.
    }
    kept.sort((a, b) => a.given - b.given).forEach((item) => this.#items.set(item.body.task, item));
  }

  get size() {
    return this.#items.size;
  }

  has(task) {
    return this.#items.has(task);
  }

  put(path, body) {
    const item = { path, body, given: Date.now() };
    this.#items.set(body.task, item);
    try {
      localStorage.setItem(this.#prefix + body.task, JSON.stringify(item));
    } catch {
      // It stays in memory; leaving the page asks first while anything is unsent.
    }
    this.send();
  }

  // Resolves when all is sent.
  send() {
    this.#sending ??= this.#deliver().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  async #deliver() {
    while (this.#items.size > 0) {
      const item = this.#items.values().next().value;
      let reply = null;
      let problem = null;
      try {
        reply = await insist(item.path, { listener: this.#listener, ...item.body }, this.#events.waiting);
      } catch (reason) {
        problem = reason;
      }
      this.#items.delete(item.body.task);
      try {
        localStorage.removeItem(this.#prefix + item.body.task);
      } catch {
        // See put().
      }
      if (problem) this.#events.refused(item, problem);
      else this.#events.saved(item, reply);
    }
  }
}
