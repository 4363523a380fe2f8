// Search where the site is read from disk: browsers refuse a Worker there, so its script runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const waiting = [];
      this.postMessage = (data) => waiting.push(data);
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.onload = () => {
        frame.onload = null;
        const inside = frame.contentWindow;
        const load = (source) =>
          new Promise((resolve, reject) => {
            const script = inside.document.createElement("script");
            Object.assign(script, { src: source, onload: resolve, onerror: reject });
            inside.document.head.append(script);
          });
        inside.importScripts = (...sources) =>
          sources.reduce((before, source) => before.then(() => load(source)), Promise.resolve());
        inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        load(url).then(() => {
          this.postMessage = (data) => inside.dispatchEvent(new inside.MessageEvent("message", { data }));
          waiting.forEach(this.postMessage);
        });
      };
      frame.srcdoc = "<!doctype html><title>search</title>";
      document.documentElement.append(frame);
    }

    set onmessage(listener) {
      this.addEventListener("message", listener);
    }
  };
}
