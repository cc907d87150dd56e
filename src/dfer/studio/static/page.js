// What all pages need: elements, requests and messages.

/** An element: h("p", {class: "aside"}, "text", child). Text is never read as HTML. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key.startsWith("--")) element.style.setProperty(key, value);
    else if (key in element && typeof value === "boolean") element[key] = value;
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const find = (selector) => document.querySelector(selector);

/** Replace what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
}

let leaving;
/** A message at the bottom of the page, for a while. */
export function say(text) {
  find("#toast").textContent = text;
  clearTimeout(leaving);
  leaving = setTimeout(() => { find("#toast").textContent = ""; }, 6000);
}

/** A request to the server; an answer that is an error becomes an Error with its sentence and status. */
export async function ask(address, {method = "GET", json, body, headers = {}} = {}) {
  const token = find("meta[name=dfer-token]")?.content;
  const answer = await fetch(address, {
    method,
    headers: {
      ...(json === undefined ? {} : {"content-type": "application/json"}),
      ...(token && method !== "GET" ? {"x-dfer-token": token} : {}),
      ...headers,
    },
    body: json === undefined ? body : JSON.stringify(json),
  });
  const kind = answer.headers.get("content-type") ?? "";
  const values = kind.includes("json") ? await answer.json() : await answer.text();
  if (!answer.ok) throw Object.assign(new Error(values.error ?? `error ${answer.status}`), {status: answer.status});
  return values;
}

/** Run something that asks the server; what goes wrong is said. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    say(error.message);
    return undefined;
  }
}

export const percent = (share) => `${Math.round(100 * share)}\u202f%`;

/** A number with its noun. */
export const count = (number, noun, nouns = `${noun}s`) => `${number} ${number === 1 ? noun : nouns}`;

/** A bar of counts, each in its emotion's colour. */
export function stack(counts, shades) {
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  const said = parts.map(([name, count]) => `${name} ${count}`).join(", ");
  return h("div", {class: "stack", role: "img", "aria-label": said, title: said},
    ...parts.map(([name, count]) => h("i", {class: shades[name], "--n": count})));
}
