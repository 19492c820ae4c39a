/*
 * The ICE servers that the server hands out, fetched again before their
 * credentials expire.
 */

// After this part of its time an answer is no longer used for something new: a
// connection that begins with it should have some of that time left.
const PART = 0.5;
// A server that gave none is not asked again for this long (ms).
const PAUSE = 5000;

export class IceServers {
  /** Why there are none, a sentence for people; '' when all is well. */
  trouble = '';
  /** Whether the server wants a token, or another one. */
  needsToken = false;
  token = '';
  #url;
  #answer = null; // a promise of the servers
  #until = 0;

  constructor(url) {
    this.#url = url;
  }

  /** A promise that is always kept: without servers, peers that reach each other directly still can. */
  get() {
    if (!this.#answer || performance.now() >= this.#until) {
      // Until the answer says otherwise, so that all callers wait for the same answer.
      this.#until = Infinity;
      this.#answer = this.#fetch();
    }
    return this.#answer;
  }

  /** The next `get` asks the server. */
  forget() {
    this.#answer = null;
  }

  async #fetch() {
    let ttl = 0;
    try {
      const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
      const response = await fetch(this.#url, { headers, cache: 'no-store' });
      this.needsToken = response.status === 401;
      if (!response.ok) throw new Error(`status ${response.status}`);
      const answer = await response.json();
      ({ ttl } = answer);
      this.trouble = '';
      return answer.iceServers;
    } catch (error) {
      this.trouble = this.needsToken
        ? 'This server gives its STUN and TURN servers only to clients with its token.'
        : `The server gave no STUN and TURN servers (${error.message}).`;
      this.trouble += ' Without them calls work within one network, and seldom beyond.';
      return [];
    } finally {
      this.#until = performance.now() + Math.max(ttl * 1000 * PART, PAUSE);
    }
  }
}
