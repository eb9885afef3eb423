// Talks to the client whose frame this page is in: JSON-RPC in messages between windows, as MCP Apps say.

/** Return the client; `told` handles what it notifies of, by method. */
export function connect(told) {
  const waiting = new Map();
  let last = 0;
  const send = (message) => window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
  window.addEventListener("message", ({ source, data }) => {
    if (source !== window.parent || data?.jsonrpc !== "2.0") return;
    if (data.method === undefined) {
      const [resolve, reject] = waiting.get(data.id) ?? [];
      waiting.delete(data.id);
      if (data.error) reject?.(new Error(data.error.message));
      else resolve?.(data.result);
    } else if (data.id === undefined) {
      told[data.method]?.(data.params ?? {});
    } else if (data.method === "ping" || data.method === "ui/resource-teardown") {
      send({ id: data.id, result: {} });
    } else {
      send({ id: data.id, error: { code: -32601, message: `${data.method} is not known here.` } });
    }
  });
  return {
    /** Ask the client; raise an Error with its message if it refuses. */
    ask(method, params) {
      last += 1;
      return new Promise((resolve, reject) => {
        waiting.set(last, [resolve, reject]);
        send({ id: last, method, params });
      });
    },
    tell: (method, params) => send({ method, params }),
  };
}
