// Questions to the server. All addresses are relative, so the page works below any path.

/** Why there is no answer: `code`, `message`, and for a question that can't be read `span` (in bytes) and `fixes`. */
export class Problem extends Error {
  constructor(body) {
    super(body.message);
    Object.assign(this, body);
  }
}

/** Asks `api/{what}`; empty parameters are left out. */
export async function ask(what, parameters, signal) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value != null);
  let response;
  try {
    response = await fetch(`api/${what}?${new URLSearchParams(given)}`, { signal, headers: { accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ code: "away", message: "logdrive doesn't answer; is it still running?", fixes: [] });
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  throw new Problem(body?.message ? body : { code: "failed", message: `the server answered ${response.status}`, fixes: [] });
}
